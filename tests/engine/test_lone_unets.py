"""A UNet alone in its file generates what a whole model with it does, over a base model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dream.catalogue import ModelRegistry
from dream.catalogue.weight_files import hash_weight_files
from dream.commands.model_text import describe_details
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.loading.file_signature import list_weight_files
from dream.engine.loading.pipelines import load_model
from dream.session.fix import require_complete
from tests import single_files
from tests.random_layouts import make_layout
from tests.recipes import recipe

Tensors = dict[str, torch.Tensor]
UNET = "model.diffusion_model."
LAYOUTS = ("sd1", "sd2-512-base", "sdxl")


@pytest.fixture(scope="module", params=LAYOUTS)
def models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A models folder with a base as a folder and as a file, and a whole model of another UNet."""
    folder = tmp_path_factory.mktemp(request.param)
    pipe = make_layout(request.param)
    pipe.save_pretrained(folder / "base-folder")
    (folder / "checkpoints").mkdir()
    base = single_files.original(pipe)
    single_files.save(base, folder / "checkpoints" / "base-file.safetensors")
    pipe.unet.load_state_dict({n: t * 1.2 for n, t in pipe.unet.state_dict().items()})
    single_files.save(single_files.original(pipe), folder / "whole-base.safetensors")
    (folder / "unet").mkdir()
    yield folder, pipe
    shutil.rmtree(folder)


def original_unet(pipe: Any, prefix: str) -> Tensors:
    weights = single_files.original(pipe)
    return {
        prefix + name.removeprefix(UNET): weights[name] for name in weights if name.startswith(UNET)
    }


NAMINGS = {
    "comfy": lambda pipe: original_unet(pipe, UNET),
    "bare": lambda pipe: original_unet(pipe, ""),
    "lightning-names": lambda pipe: dict(pipe.unet.state_dict()),
}


def render(folder: Path, model: str) -> np.ndarray:
    generator = create_generator(ModelRegistry([folder]).get_model)
    return np.asarray(generator.generate(recipe(model=model, steps=2), lambda event: None).image)


def list_bases(folder: Path) -> tuple[str, ...]:
    """The small folder of Stable Diffusion 2 cannot be told from one of 1: its width says it."""
    return ("base-file",) if "sd2" in folder.name else ("base-file", "base-folder")


@pytest.fixture
def entries(models: Any) -> Iterator[Path]:
    yield models[0] / "models.toml"
    (models[0] / "models.toml").unlink(missing_ok=True)


def test_it_generates_what_the_whole_model_does(models: Any, entries: Path) -> None:
    folder, pipe = models
    whole = render(folder, "whole-base")
    assert not np.array_equal(whole, render(folder, "base-file"))
    for naming, take in NAMINGS.items():
        single_files.save(take(pipe), folder / "unet" / f"{naming}.safetensors")
    for base in list_bases(folder):
        for naming in NAMINGS:
            entries.write_text(f'[models.{naming}]\nbase = "{base}"\n', "utf-8")
            info = ModelRegistry([folder]).get_model(naming)
            assert [part.name for part in info.parts] == [base]
            assert f"over {base}" in describe_details(info)
            assert np.array_equal(render(folder, naming), whole), (base, naming)


def test_the_hash_is_of_both(models: Any, entries: Path) -> None:
    folder, pipe = models
    single_files.save(NAMINGS["comfy"](pipe), folder / "unet" / "alone.safetensors")
    digests = set()
    for base in (*list_bases(folder), "whole-base"):
        entries.write_text(f'[models.alone]\nbase = "{base}"\n', "utf-8")
        info = ModelRegistry([folder]).get_model("alone")
        digests.add(hash_weight_files(list_weight_files(info)))
        files = {str(file.relative_to(folder)) for file in list_weight_files(info).files}
        assert "base-folder/unet/diffusion_pytorch_model.safetensors" not in files
        assert "unet/alone.safetensors" in files and len(files) > 1
    assert len(digests) == len(list_bases(folder)) + 1


def test_without_a_base_it_says_what_is_missing(tmp_path: Path) -> None:
    pipe = make_layout("sdxl")
    (tmp_path / "unet").mkdir()
    single_files.save(NAMINGS["bare"](pipe), tmp_path / "unet" / "alone.safetensors")
    make_layout("sd1").save_pretrained(tmp_path / "another-family")
    info = ModelRegistry([tmp_path]).get_model("alone")
    assert (info.family, info.width) == ("sdxl", 1024)
    with pytest.raises(ModelError) as refused:
        require_complete(info)
    assert str(refused.value) == (
        "alone lacks its base model (it is a UNet alone)"
        " (put a whole Stable Diffusion XL into a models folder)"
    )
    assert "lacks its base model" in describe_details(info)
    with pytest.raises(ModelError, match=r"alone\.safetensors lacks its base model"):
        load_model(info, "cpu", "float32")
    entry = '[models.alone]\nbase = "another-family"\n'
    (tmp_path / "models.toml").write_text(entry, "utf-8")
    with pytest.raises(ModelError, match="another-family is not a Stable Diffusion XL in the mod"):
        require_complete(ModelRegistry([tmp_path]).get_model("alone"))


def test_a_unet_that_does_not_fit_its_base_is_refused(tmp_path: Path) -> None:
    pipe = make_layout("sd1")
    pipe.save_pretrained(tmp_path / "base")
    (tmp_path / "unet").mkdir()
    weights = NAMINGS["lightning-names"](pipe)
    weights["down_blocks.0.resnets.0.more"] = torch.zeros(1)
    single_files.save(weights, tmp_path / "unet" / "odd.safetensors")
    del weights["down_blocks.0.resnets.0.more"], weights["conv_out.weight"]
    single_files.save(weights, tmp_path / "unet" / "torn.safetensors")
    find = ModelRegistry([tmp_path]).get_model
    for name, what in {"odd": "resnets.0.more", "torn": "conv_out.weight"}.items():
        with pytest.raises(ModelError, match=what):
            load_model(find(name), "cpu", "float32")


def test_what_it_predicts_replaces_what_the_base_does(tmp_path: Path) -> None:
    pipe = make_layout("sdxl")
    pipe.save_pretrained(tmp_path / "base")
    (tmp_path / "unet").mkdir()
    marks = {"v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}
    single_files.save(NAMINGS["bare"](pipe) | marks, tmp_path / "unet" / "noob.safetensors")
    loaded = load_model(ModelRegistry([tmp_path]).get_model("noob"), "cpu", "float32")
    assert loaded.pipe.scheduler.config.prediction_type == "v_prediction"
    assert loaded.pipe.scheduler.config.rescale_betas_zero_snr


def test_a_unet_that_predicts_noise_does_so_over_a_base_of_velocity(tmp_path: Path) -> None:
    """NoobAI may be the only whole model beside a Lightning."""
    pipe = make_layout("sdxl")
    marks = {"v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}
    single_files.save(single_files.original(pipe) | marks, tmp_path / "base.safetensors")
    (tmp_path / "unet").mkdir()
    single_files.save(NAMINGS["bare"](pipe), tmp_path / "unet" / "lightning.safetensors")
    registry = ModelRegistry([tmp_path])
    base, alone = (
        load_model(registry.get_model(name), "cpu", "float32").pipe.scheduler.config
        for name in ("base", "lightning")
    )
    assert (base.prediction_type, base.rescale_betas_zero_snr) == ("v_prediction", True)
    assert (alone.prediction_type, alone.rescale_betas_zero_snr) == ("epsilon", False)


def test_of_several_bases_the_usual_one_is_used(tmp_path: Path) -> None:
    pipe = make_layout("sdxl")
    whole = single_files.original(pipe)
    for name in ("a-turbo", "another", "sd_xl_base_1.0"):
        single_files.save(whole, tmp_path / f"{name}.safetensors")
    (tmp_path / "unet").mkdir()
    name = "sdxl_lightning_4step_unet"
    single_files.save(NAMINGS["bare"](pipe), tmp_path / "unet" / f"{name}.safetensors")
    info = ModelRegistry([tmp_path]).get_model(name)
    assert info.parts[0].name == "sd_xl_base_1.0"
    assert (info.steps, info.cfg_scale, info.sampler) == (4, 1.0, "k_euler")
