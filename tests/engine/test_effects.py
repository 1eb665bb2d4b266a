"""Effects with families of models: what each can do it does, what not it refuses by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig, Progress
from dream.options.variations import Variation
from tests.random_layouts import make_consistency, make_layout, make_sd3
from tests.recipes import recipe

EFFECTS: tuple[dict[str, Any], ...] = (
    {"with_variations": (Variation(7, 0.3),)},
    {"perlin": 0.3},
    {"threshold": 0.2},
    {"seamless": True},
    {"h_symmetry_time_pct": 0.5},
)


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> ImageGenerator:
    folder = tmp_path_factory.mktemp("families")
    make_layout("sdxl").save_pretrained(folder / "sdxl")
    make_consistency().save_pretrained(folder / "consistency")
    make_sd3().save_pretrained(folder / "sd3")
    return create_generator(
        ModelRegistry([folder]).get_model, DeviceConfig(max_loaded_models=3, previews=True)
    )


def paint(
    painter: ImageGenerator, every: int = 0, **changes: Any
) -> tuple[Picture, list[Image.Image]]:
    told: list[Any] = []
    picture = painter.generate(recipe(steps=4, **changes), told.append, every=every)
    shown = [happening.image for happening in told if isinstance(happening, Progress)]
    return picture, [image for image in shown if image is not None]


@pytest.mark.parametrize("model", ["sdxl", "consistency"])
def test_models_with_a_unet_can_do_all(families: ImageGenerator, model: str) -> None:
    made = [paint(families, model=model, **changes)[0].sha256 for changes in ({}, *EFFECTS)]
    assert len(set(made)) == len(made)
    assert paint(families, model=model)[0].sha256 == made[0], "all of it is undone"


@pytest.mark.parametrize("effect", EFFECTS[:4], ids=lambda effect: next(iter(effect)))
def test_others_refuse_what_they_cannot(families: ImageGenerator, effect: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="sd3") as caught:
        paint(families, model="sd3", **effect)
    assert caught.value.hint


def test_stable_diffusion_3_is_symmetric(families: ImageGenerator) -> None:
    pixels = np.asarray(paint(families, model="sd3", h_symmetry_time_pct=0.5)[0].image)
    assert (pixels == pixels[:, ::-1]).all()


@pytest.mark.parametrize("model", ["sdxl", "consistency", "sd3"])
def test_each_is_seen_in_the_making(families: ImageGenerator, model: str) -> None:
    plain, _ = paint(families, model=model)
    picture, shown = paint(families, every=1, model=model)
    assert picture.sha256 == plain.sha256
    assert [image.size for image in shown] == [(64, 64)] * 3


def test_with_a_picture_to_start_from_they_act_too(
    families: ImageGenerator, tmp_path: Path
) -> None:
    path = tmp_path / "start.png"
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(path)
    start = {"model": "sdxl", "init_img": str(path), "strength": 0.6}
    made = [paint(families, **start, **changes)[0].sha256 for changes in ({}, *EFFECTS)]
    assert len(set(made)) == len(made)
    near = {"with_variations": (Variation(7, 0.0),)}
    assert paint(families, **start, **near)[0].sha256 == made[0]


def test_another_pictures_colours(families: ImageGenerator, tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (9, 9), (200, 30, 20)).save(path)
    picture, _ = paint(families, model="sdxl", init_color=str(path))
    assert abs(np.asarray(picture.image, int) - (200, 30, 20)).max() <= 1
    assert len(picture.facts["init_color"]) == 64
