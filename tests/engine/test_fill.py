"""FLUX.1 Fill: a denoiser that sees the masked image, from a folder and from ComfyUI's files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.errors import BadLine
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig, Progress
from dream.engine.silence_libraries import silence_libraries
from dream.engine.tasks import TaskInputs
from dream.session.family_checks import check_edited_image
from tests.random_split import make_flux
from tests.recipes import recipe
from tests.split_files import move_weights, write_split, write_whole

START = {"init_img": "start.png", "strength": 0.9}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageGenerator, ModelRegistry]:
    folder = tmp_path_factory.mktemp("fill")
    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = make_flux(folder, fill=True)
        pipe.save_pretrained(folder / "models" / "folder")
    write_split(pipe, "flux", folder / "ComfyUI" / "models")
    write_whole(pipe, "flux", folder / "whole")
    registry = ModelRegistry([folder / name for name in ("models", "ComfyUI", "whole")])
    machine = DeviceConfig(max_loaded_models=3, previews=True)
    return create_generator(registry.get_model, machine), registry


def paint(
    generator: ImageGenerator, model: str, inputs: TaskInputs | None = None, **values: Any
) -> tuple[Picture, list[Any]]:
    move_weights(generator.load(model, lambda event: None).pipe)
    reported: list[Any] = []
    small = {"width": 80, "height": 64, "steps": 3, "cfg_scale": 30.0}
    wanted = recipe(model=model, **small | values)
    return generator.generate(wanted, reported.append, inputs or TaskInputs(), every=1), reported


def test_its_files_give_the_pixels_of_its_folder_with_and_without_a_mask(
    models: tuple[ImageGenerator, ModelRegistry],
) -> None:
    generator, registry = models
    image = Image.linear_gradient("L").resize((80, 64)).convert("RGB")
    mask = Image.new("L", (80, 64))
    mask.paste(255, (0, 0, 32, 64))
    inputs = TaskInputs(image=image, mask=mask)
    masked = START | {"init_mask": "mask.png"}
    found = set()
    for model in ("folder", "my-flux", "whole-flux"):
        info = registry.get_model(model)
        assert (info.family, info.variant, info.cfg_scale) == ("flux", "inpainting", 30.0)
        assert dict(info.origins)["cfg_scale"] == "usual for FLUX.1 Fill"
        plain, reported = paint(generator, model)
        filled, _ = paint(generator, model, inputs, **masked)
        refined, _ = paint(generator, model, TaskInputs(image=image), **START)
        found.add((plain.sha256, filled.sha256, refined.sha256))
        steps = [event for event in reported if isinstance(event, Progress)]
        assert [step.step for step in steps] == [1, 2, 3]
        assert steps[0].preview is not None and steps[0].image is not None
        kept = np.asarray(filled.image)[:, 40:] == np.asarray(image)[:, 40:]
        assert kept.all(), "outside the mask"
    assert len(found) == 1 and len(set(found.pop())) == 3


def test_the_denoiser_sees_what_is_outside_the_mask(
    models: tuple[ImageGenerator, ModelRegistry],
) -> None:
    mask = Image.new("L", (80, 64))
    mask.paste(255, (0, 0, 32, 64))
    seen = []
    for colour in ("#f00", "#00f"):
        image = Image.new("RGB", (80, 64), colour)
        image.paste((0, 128, 0), (0, 0, 32, 64))
        masked = START | {"init_mask": "mask.png", "strength": 1.0}
        picture, _ = paint(models[0], "folder", TaskInputs(image=image, mask=mask), **masked)
        seen.append(picture.image.crop((0, 0, 16, 64)).tobytes())
    assert seen[0] != seen[1]


def test_a_larger_image_is_made_in_two_passes(
    models: tuple[ImageGenerator, ModelRegistry], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = models[0].load("folder", lambda event: None)
    monkeypatch.setitem(vars(loaded.info), "width", 64)
    monkeypatch.setitem(vars(loaded.info), "height", 64)
    picture, _ = paint(models[0], "folder", width=128, height=128, hires_fix=0.5)
    assert picture.image.size == (128, 128)


@pytest.mark.parametrize("switch", ["control", "image_prompt"])
def test_what_it_cannot_do_is_refused_by_name(
    models: tuple[ImageGenerator, ModelRegistry], switch: str
) -> None:
    info = models[1].get_model("folder")
    wanted = recipe(model="folder", **{switch: (object(),)})
    with pytest.raises(BadLine, match=rf"FLUX\.1 Fill\) does not support --{switch}"):
        check_edited_image(wanted, info)
