"""Folders that are not what they seem."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dream.catalogue import ModelRegistry
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.read_model_info import read_folder
from dream.core.errors import ModelError
from dream.engine.loading import pipelines
from dream.engine.loading.model_index import read_index
from dream.engine.loading.pipelines import load_model


@pytest.fixture
def copy(random_models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(random_models / "random", tmp_path / "copy"))


def opened(folder: Path) -> Any:
    return load_model(ModelInfo(name="copy", path=folder), "cpu", "auto")


def edit_index(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "model_index.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def as_pickles(folder: Path) -> None:
    for path in [*folder.glob("*/*.safetensors")]:
        stem = "pytorch_model" if path.parent.name == "text_encoder" else path.stem
        torch.save(load_file(path), path.with_name(f"{stem}.bin"))
        path.unlink()


def test_the_digest_is_of_the_weights_alone(copy: Path, random_models: Path) -> None:
    before = opened(random_models / "random").digest.result()
    (copy / "README.md").write_text("changed")
    assert opened(copy).digest.result() == before
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert opened(copy).digest.result() != before


def test_fp16_files_and_pickles_load_too(copy: Path) -> None:
    as_pickles(copy)
    assert opened(copy).pipe.unet.dtype == torch.float32
    for path in [*copy.glob("*/*.bin")]:
        path.rename(path.with_name(f"{path.stem}.fp16.bin"))
    assert opened(copy).pipe.unet.dtype == torch.float32


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("trapped",))


@pytest.mark.parametrize("force", [False, True])
def test_no_pickle_runs_code(
    copy: Path, force: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if force:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.chdir(tmp_path)
    as_pickles(copy)
    path = copy / "unet" / "diffusion_pytorch_model.bin"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError, match="is a pickle that torch did not write") as caught:
        opened(copy)
    assert str(path) in str(caught.value)
    assert not Path("trapped").exists()


HOSTILE = ("unet/diffusion_pytorch_model.bin", "text_encoder/pytorch_model.bin")


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("part", HOSTILE)
def test_a_hostile_pickle_is_refused_by_name(
    copy: Path, part: str, form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    as_pickles(copy)
    whole = torch.load(copy / part, weights_only=True) | {"x": Trap()}
    torch.save(whole, copy / part, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ModelError) as caught:
        opened(copy)
    assert f"{copy / part} is refused: loading it would run {os.mkdir.__module__}.mkdir" in str(
        caught.value
    )
    assert "convert it on an isolated machine" in str(caught.value)
    assert not Path("trapped").exists()


def test_a_pickle_that_nobody_walked_is_refused_too(
    copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """torch's own refusal, should a library ever read another file than `find_weights` says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipelines, "check_pickles", lambda weights: None)
    as_pickles(copy)
    torch.save({"x": Trap()}, copy / "text_encoder" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="is refused: a pickle in it would run code"):
        opened(copy)
    assert not Path("trapped").exists()


@pytest.mark.parametrize("known", [True, False], ids=["by us", "by the library"])
@pytest.mark.parametrize(
    "stray", ["diffusion_pytorch_model_old", "diffusion_pytorch_model (1)", "a", "model"]
)
def test_a_stray_file_beside_a_parts_own_is_not_painted_with(
    copy: Path, random_models: Path, stray: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = copy / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(
        {n: t * 1.5 for n, t in load_file(own).items()}, own.with_name(f"{stray}.safetensors")
    )
    if not known:
        monkeypatch.setattr(pipelines, "has_fast_loader", lambda library, kind, folder: False)
    weights = opened(copy).pipe.unet.state_dict()
    assert all(torch.equal(weights[n], t) for n, t in load_file(own).items())
    assert opened(copy).digest.result() == opened(random_models / "random").digest.result()


@pytest.mark.parametrize("part", ["unet", "scheduler", "tokenizer", "safety_checker"])
@pytest.mark.parametrize("library", ["None", "diffusers", "transformers"])
@pytest.mark.parametrize("link", [False, True])
def test_code_beside_a_part_is_refused_by_name(
    copy: Path, part: str, library: str, link: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    path = copy / part / f"{library}.py"
    path.parent.mkdir(exist_ok=True)
    code = tmp_path / "code.txt" if link else path
    code.write_text("import os; os.mkdir('trapped')")
    if link:
        path.symlink_to(code)
    for read in (opened, lambda folder: read_folder("copy", folder, pytest.fail)):
        with pytest.raises(ModelError) as caught:
            read(copy)
        assert f"loading the model would run {path}" in str(caught.value)
    assert not Path("trapped").exists()


def test_a_part_elsewhere_is_refused(copy: Path) -> None:
    edit_index(
        copy, lambda document: document.update({"../../etc": ["diffusers", "AutoencoderKL"]})
    )
    with pytest.raises(ModelError, match="not a folder name"):
        opened(copy)


def test_what_diffusers_wrote_as_pickles_is_read(random_models: Path, tmp_path: Path) -> None:
    pipe = opened(random_models / "random").pipe
    pipe.save_pretrained(tmp_path / "pickles", safe_serialization=False)
    assert (tmp_path / "pickles" / "unet" / "diffusion_pytorch_model.bin").is_file()
    again = opened(tmp_path / "pickles").pipe
    same = pipe.unet.state_dict()
    assert all(torch.equal(t, same[n]) for n, t in again.unet.state_dict().items())


def test_no_library_of_the_folders_choice_is_imported(copy: Path) -> None:
    edit_index(copy, lambda document: document.update(unet=["antigravity", "UNet2DConditionModel"]))
    with pytest.raises(ModelError, match="code from antigravity, which is not allowed"):
        opened(copy)


def test_a_pipeline_nobody_knows(copy: Path) -> None:
    edit_index(copy, lambda document: document.update(_class_name="TelepathyPipeline"))
    with pytest.raises(ModelError, match="TelepathyPipeline"):
        opened(copy)


def test_a_model_from_pictures_paints_from_words_too(copy: Path) -> None:
    edit_index(copy, lambda document: document.update(_class_name="StableDiffusionImg2ImgPipeline"))
    assert type(opened(copy).pipe).__name__ == "StableDiffusionPipeline"


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "model_index.json").write_text("<html>"),
        lambda f: (f / "unet/config.json").unlink(),
        lambda f: (f / "unet/diffusion_pytorch_model.safetensors").write_text("<html>no</html>"),
        lambda f: (f / "vae/diffusion_pytorch_model.safetensors").unlink(),
        lambda f: shutil.rmtree(f / "tokenizer"),
        lambda f: [
            path.unlink() for path in f.glob("tokenizer/[tv]*.json") if "_" not in path.name
        ],
        lambda f: _cut(f / "unet/diffusion_pytorch_model.safetensors"),
    ],
)
def test_a_broken_folder_is_one_line(copy: Path, damage: Callable[[Path], object]) -> None:
    damage(copy)
    with pytest.raises(ModelError) as caught:
        opened(copy)
    assert "\n" not in str(caught.value)
    assert str(copy) in str(caught.value)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def endless(path: Path, kind: str) -> None:
    """A pipe nobody writes to, a device without end, or text of a terabyte, in a file's place."""
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)


@pytest.mark.parametrize("kind", ["pipe", "device", "sparse text"])
def test_a_file_that_would_be_waited_for_is_refused_whatever_its_name(
    random_models: Path, tmp_path: Path, kind: str
) -> None:
    whole = random_models / "random"
    names = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if path.is_file()]
    assert len(names) > 8
    for number, name in enumerate(names):
        if kind == "sparse text" and name.suffix == ".safetensors":
            continue
        folder = tmp_path / str(number) / "mine"
        shutil.copytree(whole, folder)
        endless(folder / name, kind)
        for look in (
            lambda folder=folder: ModelRegistry([folder.parent]).get_model("mine"),
            lambda folder=folder: read_index(folder),
        ):
            with pytest.raises(ModelError, match=r"regular file|no model|MiB|larger|be read"):
                look()
