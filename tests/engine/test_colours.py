"""The colours of one image for another."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dream.engine.sampling.color_match import match_histograms


def noise(seed: int, low: int, high: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(low, high, (*size, 3), np.uint8)
    return Image.fromarray(pixels)


def mean(image: Image.Image) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(image.convert("RGB"), np.float64).mean((0, 1))


def test_mean_and_spread_become_the_references() -> None:
    image, reference = noise(0, 0, 120), noise(1, 150, 250, (700, 20))
    matched = match_histograms(image, reference)
    assert matched.size == image.size
    assert abs(mean(matched) - mean(reference)).max() < 4
    assert np.asarray(matched).std() == pytest.approx(np.asarray(reference).std(), rel=0.1)


def test_its_own_colours_leave_a_picture_as_it_is() -> None:
    image = noise(0, 0, 256)
    assert abs(np.asarray(match_histograms(image, image), int) - np.asarray(image)).max() <= 1


def test_one_colour_becomes_the_usual_one_of_the_reference() -> None:
    reference = Image.new("RGB", (10, 10), (200, 40, 30))
    reference.paste((250, 250, 250), (0, 0, 10, 3))
    (colours,) = match_histograms(Image.new("RGB", (8, 8), "blue"), reference).getcolors() or ()
    assert np.abs(np.subtract(colours[1], (200, 40, 30))).max() <= 2


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_references_of_other_modes(mode: str) -> None:
    reference = noise(3, 0, 256).convert(mode)
    assert match_histograms(noise(0, 0, 256), reference).mode == "RGB"
