"""Which files are a model's weights, and how large it is, from their headers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dream.catalogue.weight_files import count_parameters, find_weights, hash_weight_files
from dream.core.errors import ModelError


def save(path: Path, numbers: int = 6) -> None:
    path.parent.mkdir(exist_ok=True)
    save_file({"a": torch.zeros(2, numbers // 2)}, path)


NAME = "diffusion_pytorch_model"
UNET = {"unet": "diffusers"}


def names(folder: Path, parts: Mapping[str, str] = UNET) -> list[str]:
    return [path.name for path in find_weights(folder, parts).files]


def shard(part: Path, index: str, *files: str) -> None:
    """Shards with an index."""
    for file in files:
        save(part / file)
    table = {f"a{number}": file for number, file in enumerate(files)}
    (part / index).write_text(json.dumps({"metadata": {}, "weight_map": table}))


def test_parameters_are_counted_from_headers(tmp_path: Path) -> None:
    save(tmp_path / "unet" / f"{NAME}.safetensors", 10)
    save(tmp_path / "text_encoder" / "model.safetensors", 4)
    save(tmp_path / "safety_checker" / "model.safetensors", 100)
    parts = {"unet": "diffusers", "text_encoder": "transformers", "tokenizer": "transformers"}
    assert count_parameters(find_weights(tmp_path, parts)) == 14


def test_plain_safetensors_before_variants_and_pickles(tmp_path: Path) -> None:
    for word in (".safetensors", ".fp16.safetensors", ".non_ema.safetensors", ".bin"):
        save(tmp_path / "unet" / f"{NAME}{word}")
    weights = find_weights(tmp_path, UNET)
    assert [path.name for path in weights.files] == [f"{NAME}.safetensors"]
    assert weights.is_safe and weights.variant is None


STRAY = (
    f"{NAME}_old.safetensors",
    f"{NAME} (1).safetensors",
    f"old_{NAME}.safetensors",
    f"{NAME}-00001-of-00002.safetensors",
    f"{NAME}.bin",
    f"{NAME}.safetensors.bak",
    "model.safetensors",
    "pytorch_model.bin",
    "a.safetensors",
    "lora.safetensors",
)


@pytest.mark.parametrize("stray", STRAY)
def test_what_lies_beside_a_parts_own_weights_is_ignored(tmp_path: Path, stray: str) -> None:
    save(tmp_path / "unet" / f"{NAME}.safetensors")
    save(tmp_path / "unet" / stray)
    assert names(tmp_path) == [f"{NAME}.safetensors"]


@pytest.mark.parametrize("stray", [f"{NAME}.safetensors", "model (1).safetensors", "a.safetensors"])
def test_the_same_of_a_part_of_transformers(tmp_path: Path, stray: str) -> None:
    save(tmp_path / "text_encoder" / "model.safetensors")
    save(tmp_path / "text_encoder" / stray)
    assert names(tmp_path, {"text_encoder": "transformers"}) == ["model.safetensors"]


@pytest.mark.parametrize("stray", [name for name in STRAY if name != f"{NAME}.bin"])
def test_only_files_of_other_names_are_refused_with_the_right_one(
    tmp_path: Path, stray: str
) -> None:
    save(tmp_path / "unet" / stray)
    missing = rf"{NAME}\.safetensors\S* is missing, and diffusers does not load"
    expected = "contains no weights" if stray.endswith(".bak") else missing
    with pytest.raises(ModelError, match=expected):
        find_weights(tmp_path, UNET)


@pytest.mark.parametrize(
    "index",
    [f"{NAME}.safetensors.index.fp16.json", f"{NAME}.safetensors.fp16.index.json"],
    ids=["today's", "before diffusers 0.32"],
)
def test_a_variant_alone_and_in_shards(tmp_path: Path, index: str) -> None:
    shards = [f"{NAME}.fp16-0000{number}-of-00002.safetensors" for number in (1, 2)]
    shard(tmp_path / "unet", index, *shards)
    save(tmp_path / "unet" / f"{NAME}.fp16-00003-of-00003.safetensors")
    weights = find_weights(tmp_path, UNET)
    assert ([path.name for path in weights.files], weights.variant) == (shards, "fp16")


def test_of_two_variants_the_usual_one(tmp_path: Path) -> None:
    for word in ("ema", "fp16", "non_ema"):
        save(tmp_path / "unet" / f"{NAME}.{word}.safetensors")
    assert find_weights(tmp_path, UNET).variant == "fp16"


@pytest.mark.parametrize(
    ("library", "stem", "first"),
    [("diffusers", NAME, "shard"), ("transformers", "model", "single")],
)
def test_beside_shards_each_library_has_its_own_preference(
    tmp_path: Path, library: str, stem: str, first: str
) -> None:
    shards = [f"{stem}-0000{number}-of-00002.safetensors" for number in (1, 2)]
    shard(tmp_path / "part", f"{stem}.safetensors.index.json", *shards)
    save(tmp_path / "part" / f"{stem}.safetensors")
    expected = shards if first == "shard" else [f"{stem}.safetensors"]
    assert names(tmp_path, {"part": library}) == expected


@pytest.mark.parametrize("lacking", ["shard", "index"])
def test_shards_that_are_not_all_there(tmp_path: Path, lacking: str) -> None:
    shards = [f"{NAME}-0000{number}-of-00002.safetensors" for number in (1, 2)]
    shard(tmp_path / "unet", f"{NAME}.safetensors.index.json", *shards)
    gone = shards[1] if lacking == "shard" else f"{NAME}.safetensors.index.json"
    (tmp_path / "unet" / gone).unlink()
    with pytest.raises(ModelError, match=f"{gone} is missing"):
        find_weights(tmp_path, UNET)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"weight_map": 5}', '{"weight_map": {"a": "../x"}}']
)
def test_an_index_of_nonsense_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / f"{NAME}.safetensors.index.json").write_text(content)
    with pytest.raises(ModelError, match=r"cannot be read|: \.\./x.* is missing"):
        find_weights(tmp_path, UNET)


def test_no_weights_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="contains no weights"):
        find_weights(tmp_path, UNET)


@pytest.mark.parametrize(
    "content", [b"", b"<html></html>", b"\xff" * 64, b"\x02" + bytes(7) + b"[]"]
)
def test_what_is_no_safetensors_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / f"{NAME}.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="not a safetensors file"):
        count_parameters(find_weights(tmp_path, UNET))


def test_the_digest_is_remembered_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "unet" / f"{NAME}.safetensors"
    save(path)
    weights = find_weights(tmp_path, UNET)
    first = hash_weight_files(weights)
    (remembered,) = (tmp_path / "cache" / "dream" / "weights").iterdir()
    remembered.write_text("f" * 64)
    assert hash_weight_files(weights) == "f" * 64, "it was read, not computed"
    save(path, 8)
    assert hash_weight_files(weights) not in (first, "f" * 64)


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "unet" / f"{NAME}.safetensors")
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "blocked"))
    assert len(hash_weight_files(find_weights(tmp_path, UNET))) == 64
