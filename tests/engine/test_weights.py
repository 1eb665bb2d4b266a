"""Which files are a model's weights, and how large it is, from their headers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dream.engine.weights import count_parameters, digest, find_weights
from dream.errors import ModelError


def save(path: Path, numbers: int = 6) -> None:
    path.parent.mkdir(exist_ok=True)
    save_file({"a": torch.zeros(2, numbers // 2)}, path)


def test_parameters_are_counted_from_headers(tmp_path: Path) -> None:
    save(tmp_path / "unet" / "m.safetensors", 10)
    save(tmp_path / "vae" / "m.safetensors", 4)
    save(tmp_path / "safety_checker" / "m.safetensors", 100)
    assert count_parameters(find_weights(tmp_path, ["unet", "vae", "tokenizer"])) == 14


def test_plain_safetensors_before_variants_and_pickles(tmp_path: Path) -> None:
    for name in ("m.safetensors", "m.fp16.safetensors", "m.non_ema.safetensors", "m.bin"):
        save(tmp_path / "unet" / name)
    weights = find_weights(tmp_path, ["unet"])
    assert [path.name for path in weights.files] == ["m.safetensors"]
    assert weights.safe and weights.variant is None


def test_a_variant_alone_and_in_shards(tmp_path: Path) -> None:
    for number in (1, 2):
        save(tmp_path / "unet" / f"m.fp16-0000{number}-of-00002.safetensors")
    weights = find_weights(tmp_path, ["unet"])
    assert (len(weights.files), weights.variant) == (2, "fp16")


def test_no_weights_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no weights"):
        find_weights(tmp_path, ["unet"])


@pytest.mark.parametrize(
    "content", [b"", b"<html></html>", b"\xff" * 64, b"\x02" + bytes(7) + b"[]"]
)
def test_what_is_no_safetensors_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "m.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="not a safetensors file"):
        count_parameters(find_weights(tmp_path, ["unet"]))


def test_the_digest_is_remembered_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "unet" / "m.safetensors"
    save(path)
    weights = find_weights(tmp_path, ["unet"])
    first = digest(weights)
    (remembered,) = (tmp_path / "cache" / "dream" / "weights").iterdir()
    remembered.write_text("f" * 64)
    assert digest(weights) == "f" * 64, "it was read, not computed"
    save(path, 8)
    assert digest(weights) not in (first, "f" * 64)


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "unet" / "m.safetensors")
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "blocked"))
    assert len(digest(find_weights(tmp_path, ["unet"]))) == 64
