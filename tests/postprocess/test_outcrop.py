"""Beyond the frame: what was there stays, and every new pixel is painted, once, by a model that
sees what it knows."""

from __future__ import annotations

import numpy as np
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
        self.painted = 0

    def __call__(self, shown: Image.Image, mask: Image.Image | None, number: int) -> Image.Image:
        assert mask is not None and mask.size == shown.size
        assert number == len(self.shown)
        assert all(side % 8 == 0 for side in shown.size)
        self.painted += mask.histogram()[255]
        self.shown.append(shown)
        return Image.new("RGB", shown.size, GREEN)


@settings(max_examples=80, deadline=None)
@given(_SIZES, _SIDES)
def test_the_old_pixels_stay_and_the_new_are_painted(size: tuple[int, int], sides: Outcrop) -> None:
    image, hand = noise(size), Hand()
    made = outcrop_image(image, sides, (64, 64), 8, hand)
    top, right, bottom, left = sides
    width, height = size
    assert made.size == (width + left + right, height + top + bottom)
    assert made.crop((left, top, left + width, top + height)).tobytes() == image.tobytes()
    green = (np.asarray(made) == GREEN).all(-1)
    assert green.sum() == green.size - width * height
    windows = plan_patches(size, sides, (64, 64), 8)
    assert hand.painted == sum(patch.new_area.size[0] * patch.new_area.size[1] for patch in windows)
    assert all(max(shown.size) <= 64 for shown in hand.shown)
    assert len(hand.shown) == len(plan_patches(size, sides, (64, 64), 8))


def test_windows_fade_into_one_another() -> None:
    """Each window in a grey of its own: where two of them meet, nothing leaps."""
    greys = iter(range(40, 250, 6))

    def paint(shown: Image.Image, mask: Image.Image | None, number: int) -> Image.Image:
        return Image.new("RGB", shown.size, (next(greys),) * 3)

    size, sides = (300, 128), Outcrop(bottom=100, right=40)
    made = np.asarray(outcrop_image(noise(size), sides, (128, 128), 8, paint), int)[..., 0]
    assert len(plan_patches(size, sides, (128, 128), 8)) > 6
    below = made[128:]
    # 6 of grey from one to the next, and three windows from one strip to the next, over a sixteenth
    # of a window: smooth ramps are at most half as steep again as straight ones.
    assert abs(np.diff(below, axis=1)).max() <= 3
    assert abs(np.diff(below, axis=0)).max() <= 4
    assert below.max() - below.min() > 40


def test_a_window_shows_at_least_as_much_of_the_old_as_of_the_new() -> None:
    for patch in plan_patches((256, 256), Outcrop(200, 200, 200, 200), (256, 256), 8):
        fresh, window = patch.new_area, patch.window
        across, along = (f / w for f, w in zip(fresh.size, window.size, strict=True))
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
