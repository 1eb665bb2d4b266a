"""A watermark is told again after a JPEG, by the package it comes from too, and not seen."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterator
from io import BytesIO

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dream.core.errors import FinishError
from dream.core.stages import watermark_capacity
from dream.postprocess.watermark import COMPVIS, embed_watermark, extract_watermark

COLOURS = ["white", "black", "blue", "red", "lime", "yellow", "grey", "magenta", "cyan"]


def gradient() -> Image.Image:
    slope = Image.linear_gradient("L")
    return Image.merge("RGB", (slope, slope.rotate(90), slope.rotate(180)))


def as_jpeg(image: Image.Image, quality: int = 90) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


@pytest.mark.parametrize("colour", COLOURS)
def test_the_hardest_colours_carry_it(colour: str) -> None:
    """At the rim of what RGB can show, half of all changes are impossible."""
    marked = embed_watermark(Image.new("RGB", (256, 256), colour), "made by dream")
    assert extract_watermark(marked) == extract_watermark(as_jpeg(marked)) == "made by dream"


@pytest.mark.parametrize("text", ["d", "nineteen characters", "梦里的猫"])
def test_whatever_fits_is_told_again_and_hardly_seen(text: str) -> None:
    image = gradient()
    marked = embed_watermark(image, text)
    assert marked.size == image.size
    assert (
        extract_watermark(marked)
        == extract_watermark(as_jpeg(marked))
        == extract_watermark(as_jpeg(marked, 95))
        == text
    )
    change = np.asarray(marked, int) - np.asarray(image, int)
    light = change @ (0.299, 0.587, 0.114)
    assert np.abs(light).max() < 6, "of 255"
    assert np.abs(change).mean() < 5


def test_odd_sizes_leave_their_rest_alone() -> None:
    image = gradient().resize((333, 270))
    marked = embed_watermark(image, "dream")
    assert extract_watermark(as_jpeg(marked)) == "dream"
    assert marked.crop((328, 0, 333, 270)).tobytes() == image.crop((328, 0, 333, 270)).tobytes()


def test_what_was_never_marked_says_nothing() -> None:
    assert extract_watermark(gradient()) is None
    assert all(
        extract_watermark(Image.new("RGB", (256, 256), colour)) is None for colour in COLOURS
    )
    chance = np.random.default_rng(0)
    for _ in range(10):
        noise = chance.integers(0, 256, (128, 128, 3), dtype=np.uint8)
        assert extract_watermark(Image.fromarray(noise)) is None
    assert extract_watermark(Image.new("RGB", (5, 5))) is None


def test_what_does_not_fit_is_refused() -> None:
    assert watermark_capacity((256, 256)) == 19
    assert watermark_capacity((64, 64)) == 0
    with pytest.raises(
        FinishError, match=r"does not fit into 256x256 pixels \(use at most 19 bytes\)"
    ):
        embed_watermark(gradient(), "twenty characters ..")
    grain = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    with pytest.raises(FinishError, match="too noisy"):
        embed_watermark(Image.fromarray(grain), "nineteen characters")


def test_the_packages_own_decoder_reads_it() -> None:
    marked = embed_watermark(gradient(), "dream")
    told = _as_the_package_decodes(marked, len("dream") + 2)
    assert told == b"dream" + crc_hqx(b"dream", 0xFFFF).to_bytes(2, "big")


def test_what_compvis_scripts_wrote_is_known() -> None:
    image = gradient().resize((512, 512)).point(lambda value: value // 2 + 64)
    marked = _as_the_package_encodes(image, COMPVIS)
    assert _as_the_package_decodes(marked, len(COMPVIS)) == COMPVIS
    assert extract_watermark(marked) == "StableDiffusionV1"


# invisible-watermark 0.2.0, imwatermark/maxDct.py (MIT), block by block as it is there. It is no
# dependency: it wants a graphical OpenCV, and diffusers marks every SDXL picture where it is found.


def _averages(image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    yuv = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2YUV)
    u = yuv[..., 1].astype(float)
    return yuv, (u[::2, ::2] + u[1::2, ::2] + u[::2, 1::2] + u[1::2, 1::2]) / 2


def _blocks(averages: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    rows, columns = averages.shape
    for row in range(rows // 4):
        for column in range(columns // 4):
            yield averages[row * 4 : row * 4 + 4, column * 4 : column * 4 + 4]


def _as_the_package_decodes(image: Image.Image, size: int) -> bytes:
    scores: list[list[int]] = [[] for _ in range(size * 8)]
    for number, block in enumerate(_blocks(_averages(image)[1])):
        place = np.argmax(abs(block.flatten()[1:])) + 1
        value = abs(block[place // 4][place % 4])
        scores[number % len(scores)].append(int(value % 36 > 18))
    bits = [np.mean(score) * 255 > 127 for score in scores]
    return bytes(np.packbits(bits))


def _as_the_package_encodes(image: Image.Image, data: bytes) -> Image.Image:
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    yuv, averages = _averages(image)
    before = averages.copy()
    for number, block in enumerate(_blocks(averages)):
        place = np.argmax(abs(block.flatten()[1:])) + 1
        value = block[place // 4][place % 4]
        block[place // 4][place % 4] = (value // 36 + 0.25 + 0.5 * bits[number % len(bits)]) * 36
    yuv = yuv.copy()
    yuv[..., 1] = yuv[..., 1] + np.kron(averages - before, np.ones((2, 2))) / 2
    return Image.fromarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB))
