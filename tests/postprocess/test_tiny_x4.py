"""The upscaler that comes with dream, on the kind of pictures that its model makes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.core.picture import Picture
from dream.postprocess.upscale import Upscaler
from tests.postprocess.conftest import recipe


def drawing(side: int) -> Image.Image:
    """A red disc and a blue bar on yellow, drawn four times larger and made smooth."""
    image = Image.new("RGB", (4 * side, 4 * side), (250, 220, 60))
    pen = ImageDraw.Draw(image)
    pen.ellipse((0.8 * side, 0.8 * side, 2.8 * side, 2.8 * side), fill=(200, 30, 40))
    pen.polygon(
        [(3 * side, 0.5 * side), (3.6 * side, 0.7 * side), (2.4 * side, 3.7 * side)],
        fill=(30, 60, 180),
    )
    return image.resize((side, side), Image.Resampling.BOX)


def steepest(image: Image.Image) -> float:
    """How steep the edges are: the mean of the steepest hundredth of all steps to the right."""
    steps = np.abs(np.diff(np.asarray(image.convert("L")).astype(float), axis=1)).ravel()
    return float(np.sort(steps)[-steps.size // 100 :].mean())


def distance(image: Image.Image, truth: Image.Image) -> float:
    """The mean absolute difference of two pictures, in grey levels."""
    return float(np.abs(np.asarray(image).astype(float) - np.asarray(truth)).mean())


@pytest.mark.parametrize("factor", [2, 4])
def test_edges_are_sharper_and_truer_than_by_bicubic(factor: int) -> None:
    small, truth = drawing(96), drawing(96 * factor)
    bicubic = small.resize(truth.size, Image.Resampling.BICUBIC)
    upscaler = Upscaler(ModelRegistry((get_shipped_models_dir(),)), "cpu")
    picture = Picture(small, recipe(factor, 1, "tiny-x4"))
    made = upscaler.upscale(picture, on_tile=lambda *at: None, on_note=pytest.fail).image
    assert made.size == truth.size
    assert steepest(made) > 1.1 * steepest(bicubic)
    assert distance(made, truth) < distance(bicubic, truth)
