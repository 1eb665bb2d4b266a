"""Masks: what a file means by black, white and transparent, and edges that fade."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dream.inputs import (
    feather_mask,
    fill_transparent,
    invert_mask,
    mask_from_alpha,
    open_picture,
    read_mask,
    resize_to_cover,
)


def test_what_is_transparent_is_painted_or_else_what_is_black(tmp_path: Path) -> None:
    image = Image.new("LA", (4, 1), (255, 255))
    for x, pixel in enumerate([(0, 255), (255, 255), (255, 0), (90, 255)]):
        image.putpixel((x, 0), pixel)
    image.save(tmp_path / "mask.png")
    opened = open_picture(tmp_path / "mask.png")
    assert opened.alpha is not None
    assert read_mask(opened).tobytes() == bytes([0, 0, 255, 0]), "dark parts of a photograph stay"
    image.getchannel("L").save(tmp_path / "black.png")
    assert read_mask(open_picture(tmp_path / "black.png")).tobytes() == bytes([255, 0, 0, 255])
    image.putalpha(Image.new("L", (4, 1), 200))
    image.save(tmp_path / "veil.png")
    veiled = read_mask(open_picture(tmp_path / "veil.png"))
    assert veiled.tobytes() == bytes([255, 0, 0, 255]), "no part of it is a hole"
    assert mask_from_alpha(opened.alpha).tobytes() == bytes([0, 0, 255, 0])
    assert invert_mask(read_mask(opened)).tobytes() == bytes([255, 255, 0, 255])


def test_scaling_covers_and_cuts_equally() -> None:
    image = Image.new("RGB", (300, 100), "blue")
    image.paste("red", (100, 0, 200, 100))
    cut = resize_to_cover(image, 64, 64)
    assert cut.size == (64, 64)
    assert cut.getpixel((32, 32)) == (255, 0, 0) and (np.asarray(cut)[..., 0] > 200).mean() > 0.9
    assert resize_to_cover(image, 300, 100) is image


def test_the_whole_of_it_is_stretched() -> None:
    image = Image.new("RGB", (300, 100), "blue")
    image.paste("red", (0, 0, 100, 100))
    whole = np.asarray(resize_to_cover(image, 66, 64, whole=True))
    assert (whole[:, :19, 0] > 250).all() and (whole[:, 26:, 2] > 250).all()


def test_an_empty_hole_is_filled_from_around_it() -> None:
    image = Image.new("RGB", (37, 21), "red")
    image.paste("blue", (19, 0, 37, 21))
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (10, 5, 30, 15))
    emptied = image.copy()
    emptied.paste("black", (10, 5, 30, 15))
    full = np.asarray(fill_transparent(emptied, alpha), int)
    outside = np.asarray(alpha) == 255
    assert (full[outside] == np.asarray(image)[outside]).all()
    assert full[10, 11, 0] > 150 > full[10, 11, 2] and full[10, 28, 2] > 150 > full[10, 28, 0]
    assert fill_transparent(image, alpha) is image, "what somebody painted there stays"
    assert fill_transparent(emptied, Image.new("L", image.size, 0)) is emptied


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.floats(0, 1))
def test_a_fading_edge_never_leaves_the_mask(seed: int, blur: int, share: float) -> None:
    values = np.random.default_rng(seed).random((5, 7)) < share
    mask = Image.fromarray(values.astype(np.uint8) * 255, "L").resize((28, 20), 0)
    soft, hard = np.asarray(feather_mask(mask, blur)), np.asarray(mask)
    assert (soft[hard == 0] == 0).all()
    assert (soft[hard == 255] > 0).all(), "a thin line is painted too, if faintly"
    if share == 1:
        assert (soft == 255).all(), "the picture's own edge is none of the mask"


def test_it_reaches_the_full_after_so_many_pixels() -> None:
    mask = Image.new("L", (40, 9), 0)
    mask.paste(255, (10, 0, 40, 9))
    row = np.asarray(feather_mask(mask, 4))[4]
    assert row[9] == 0 and row[14] == 255
    assert list(row[10:14]) == sorted(row[10:14]) and row[10] == 255 // 5
