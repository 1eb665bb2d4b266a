"""Beyond the frame: what was there stays, and every new pixel is painted, once, by a model that
sees what it knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dream.options.outpaint import SIDES, Outcrop, Shift
from dream.postprocess.outcrop import extend_canvas, outcrop_image, plan_patches, shift_image

_PIXELS = st.integers(0, 90)
_SIDES = st.builds(Outcrop, _PIXELS, _PIXELS, _PIXELS, _PIXELS)
_SIZES = st.tuples(st.integers(1, 150), st.integers(1, 150))

GREEN = (0, 255, 0)


def noise(size: tuple[int, int]) -> Image.Image:
    width, height = size
    chance = np.random.default_rng(0)
    return Image.fromarray(chance.integers(0, 200, (height, width, 3), dtype=np.uint8))


class Hand:
    """Paints green, and remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Image.Image] = []
        self.rendered = 0

    def __call__(self, shown: Image.Image, mask: Image.Image | None, number: int) -> Image.Image:
        assert mask is not None and mask.size == shown.size
        assert number == len(self.shown)
        assert all(side % 8 == 0 for side in shown.size)
        self.rendered += mask.histogram()[255]
        self.shown.append(shown)
        return Image.new("RGB", shown.size, GREEN)


@settings(max_examples=80)
@given(_SIZES, _SIDES)
def test_the_old_pixels_stay_and_the_new_are_painted(size: tuple[int, int], sides: Outcrop) -> None:
    image, hand = noise(size), Hand()
    made = outcrop_image(image, sides, (64, 64), 8, hand)
    top, right, bottom, left = sides
    width, height = size
    assert made.size == (width + left + right, height + top + bottom)
    assert made.crop((left, top, left + width, top + height)).tobytes() == image.tobytes()
    windows = plan_patches(size, sides, (64, 64), 8)
    rendered = np.zeros((height, width), bool)
    for patch in windows:
        grows, area = patch.grows, patch.new_area
        rendered = np.pad(rendered, ((grows.top, grows.bottom), (grows.left, grows.right)))
        rendered[area.top : area.bottom, area.left : area.right] = True
    assert rendered.sum() == rendered.size - width * height
    masks = [patch.mask_area.size for patch in windows]
    assert hand.rendered == sum(width * height for width, height in masks)
    assert all(max(shown.size) <= 64 for shown in hand.shown)
    assert len(hand.shown) == len(windows)


@pytest.mark.parametrize("side", SIDES)
def test_new_colours_go_on_from_the_old_ones(side: str) -> None:
    """The model paints another green than the picture's: it is reached by and by."""
    image = Image.new("RGB", (64, 64), (0, 200, 0))
    made = outcrop_image(image, Outcrop(**{side: 48}), (256, 256), 8, Hand())
    turned = np.rot90(np.asarray(made, int), {"bottom": 0, "right": 3, "top": 2, "left": 1}[side])
    down = turned[:, 10, 1]
    assert (down[:64] == 200).all()
    assert (down[64 + 33 :] == 255).all()
    assert np.diff(down).min() >= 0 and np.diff(down).max() <= 3
    assert (turned == turned[:, :1]).all()


def test_an_edge_of_the_pictures_own_fades_within_a_few_pixels() -> None:
    """Its last row is darker, as decoders leave it: the new rows are not, and begin no spot."""
    image = Image.new("RGB", (64, 64), (120, 120, 120))
    image.paste((100, 100, 100), (0, 63, 64, 64))
    image.putpixel((63, 63), (0, 0, 0))

    def render(shown: Image.Image, mask: Image.Image | None, number: int) -> Image.Image:
        return Image.new("RGB", shown.size, (120, 120, 120))

    made = np.asarray(outcrop_image(image, Outcrop(bottom=32), (96, 96), 8, render), int)[..., 0]
    down = made[63:, 10]
    assert down[0] == 100 and abs(np.diff(down)).max() <= 7 and (down[5:] == 120).all()
    assert made[64:].min() >= 120 - 4 * 20


def test_a_decoders_edge_is_not_seen_in_the_new_pixels() -> None:
    def render(shown: Image.Image, mask: Image.Image | None, number: int) -> Image.Image:
        made = Image.new("RGB", shown.size, (60, 60, 60))
        made.paste((120, 120, 120), (2, 2, shown.width - 2, shown.height - 2))
        return made

    image = Image.new("RGB", (64, 64), (120, 120, 120))
    made = np.asarray(outcrop_image(image, Outcrop(40, 40, 40, 40), (64, 64), 8, render))
    assert (made == 120).all()


def test_windows_fade_into_one_another() -> None:
    """Each window in a grey of its own: where two of them meet, nothing leaps."""
    greys = iter(range(100, 250, 6))

    def render(shown: Image.Image, mask: Image.Image | None, number: int) -> Image.Image:
        return Image.new("RGB", shown.size, (next(greys),) * 3)

    size, sides = (300, 128), Outcrop(bottom=100, right=40)
    image = Image.new("RGB", size, (100, 100, 100))
    made = np.asarray(outcrop_image(image, sides, (128, 128), 8, render), int)[..., 0]
    assert len(plan_patches(size, sides, (128, 128), 8)) > 6
    below = made[128:]
    # 6 of grey from one to the next, and three windows from one strip to the next, over a sixteenth
    # of a window: smooth ramps are at most half as steep again as straight ones. Downwards the way
    # from the picture's own grey to the first strip's is added.
    assert abs(np.diff(below, axis=1)).max() <= 3
    assert abs(np.diff(below, axis=0)).max() <= 5
    assert below.max() - below.min() > 40


def test_a_window_shows_at_least_as_much_of_the_old_as_of_the_new() -> None:
    for patch in plan_patches((256, 256), Outcrop(200, 200, 200, 200), (256, 256), 8):
        new_area, window = patch.new_area, patch.window
        across, along = (f / w for f, w in zip(new_area.size, window.size, strict=True))
        assert min(across, along) <= 0.5


def test_one_side_of_a_picture_of_the_models_size_is_one_window() -> None:
    (patch,) = plan_patches((256, 256), Outcrop(right=64), (256, 256), 8)
    assert patch.window == (64, 0, 320, 256)
    assert patch.new_area == (256, 0, 320, 256)


def test_what_the_model_begins_from_is_the_edges_colour() -> None:
    image = Image.new("RGB", (64, 64), "red")
    image.paste((0, 0, 255), (32, 0, 64, 64))
    hand = Hand()
    outcrop_image(image, Outcrop(right=16), (64, 64), 8, hand)
    (shown,) = hand.shown
    assert shown.getpixel((60, 30)) == (0, 0, 255)
    assert extend_canvas(image, Outcrop(left=3)).getpixel((0, 0)) == (255, 0, 0)


@given(_SIZES, st.sampled_from(SIDES), st.one_of(st.none(), st.integers(1, 400)))
def test_a_frame_that_moves_keeps_its_size(
    size: tuple[int, int], side: str, pixels: int | None
) -> None:
    if min(size) < 2:
        return
    cut, sides = shift_image(noise(size), Shift(side, pixels))
    assert extend_canvas(cut, sides).size == size
    assert [pixels > 0 for pixels in sides] == [side == one for one in SIDES]


def test_a_frame_moves_by_half_where_nobody_says() -> None:
    image = noise((64, 32))
    cut, sides = shift_image(image, Shift("bottom"))
    assert sides == Outcrop(bottom=16)
    assert cut.tobytes() == image.crop((0, 16, 64, 32)).tobytes()
