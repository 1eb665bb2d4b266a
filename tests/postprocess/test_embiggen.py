"""Tiles cover the picture, fade into each other without a seam, and stand each for itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dream.core.errors import FinishError
from dream.postprocess.embiggen import Tile, repaint_tiles, select_tiles, split_into_tiles

_SIZES = st.tuples(st.integers(1, 200), st.integers(1, 200))


def inverted(shown: Image.Image, mask: Image.Image | None, number: int) -> Image.Image:
    assert mask is None
    return Image.fromarray(255 - np.asarray(shown))


def nine() -> list[Tile]:
    """Three rows of three, each of 64 pixels, half of it shared."""
    return split_into_tiles((128, 128), (64, 64), 0.25, 8)


def flat(size: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", size, (40, 80, 120))


@settings(max_examples=60)
@given(_SIZES, st.sampled_from([0, 0.25, 0.5, 1, 17]))
def test_all_tiles_together_are_the_whole_without_a_seam(
    size: tuple[int, int], overlap: float
) -> None:
    everything = split_into_tiles(size, (64, 48), overlap, 8)
    made = repaint_tiles(flat(size), everything, everything, inverted)
    assert made.size == size
    off = np.abs(np.asarray(made, int) - (255 - np.asarray(flat(size), int)))
    assert off.max() <= 1, "every pixel is painted, whatever fades"
    assert all(tile.box.size <= (64, 48) for tile in everything)


def test_tiles_are_numbered_line_by_line() -> None:
    found = nine()
    assert [tile.number for tile in found] == list(range(1, 10))
    assert [tile.box[:2] for tile in found[:4]] == [(0, 0), (32, 0), (64, 0), (0, 32)]


def test_one_tile_alone_changes_nothing_else_and_fades_at_all_its_inner_sides() -> None:
    image = flat((128, 128))
    made = np.asarray(repaint_tiles(image, nine(), select_tiles(nine(), (5,)), inverted), int)
    changed = (made != np.asarray(image)).any(-1)
    assert changed[64, 64] and not changed[:32].any() and not changed[:, 96:].any()
    edge, middle = (np.abs(made[64, x] - (40, 80, 120)).sum() for x in (33, 64))
    assert edge < middle / 4


def test_an_edge_of_a_tile_is_not_seen_where_four_of_them_meet() -> None:
    """Decoders paint the outermost pixels worst."""

    def edged(shown: Image.Image, mask: Image.Image | None, number: int) -> Image.Image:
        framed = Image.new("RGB", shown.size, "white")
        framed.paste(shown.crop((1, 1, shown.width - 1, shown.height - 1)), (1, 1))
        return framed

    image = flat((128, 128))
    made = repaint_tiles(image, nine(), nine(), edged).crop((1, 1, 127, 127))
    assert np.abs(np.asarray(made, int) - (40, 80, 120)).max() < 16, "of the frame's 215"


def test_a_tile_is_painted_alone_as_among_all() -> None:
    seen: list[tuple[int, bytes]] = []

    def render(shown: Image.Image, mask: Image.Image | None, number: int) -> Image.Image:
        seen.append((number, shown.tobytes()))
        return inverted(shown, mask, number)

    image = Image.linear_gradient("L").convert("RGB").resize((128, 128))
    repaint_tiles(image, nine(), nine(), render)
    repaint_tiles(image, nine(), select_tiles(nine(), (7,)), render)
    assert seen[-1] == seen[6]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(FinishError, match=r"there is no tile 10 \(the tiles are 1 to 9\)"):
        select_tiles(nine(), (3, 10))
    with pytest.raises(FinishError, match="cannot overlap by 64"):
        split_into_tiles((128, 128), (64, 64), 64, 8)
