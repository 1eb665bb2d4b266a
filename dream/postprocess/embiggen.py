"""-embiggen: regenerates an upscaled image in tiles, to add the detail that upscaling alone lacks.
Each tile starts from the existing pixels, and blends into its neighbours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.core.errors import FinishError
from dream.postprocess.windows import (
    Box,
    GenerateWindow,
    crop_padded,
    fit_window,
    get_window_starts,
)

Size = tuple[int, int]
Floats = NDArray[np.float32]


class Tile(NamedTuple):
    """One tile of an image."""

    number: int
    """From 1, from left to right and from top to bottom."""
    box: Box
    fades: Box
    """Pixels shared with the neighbour at each side, over which the tile is blended."""


def split_into_tiles(size: Size, window: Size, overlap: float, multiple: int) -> list[Tile]:
    """All tiles of an image of this size.

    `overlap` is a share of the tile's sides if below 1, otherwise pixels. Raises FinishError if it
    is not smaller than a tile.
    """
    width, height = fit_window(window, size, multiple)
    columns, rows = (
        get_window_starts(length, side, _overlap_pixels(side, overlap) if length > side else 0)
        for length, side in zip(size, (width, height), strict=True)
    )
    return [
        Tile(
            number,
            Box(columns[column], rows[row], columns[column] + width, rows[row] + height),
            Box(
                _shared_pixels(columns, column - 1, width),
                _shared_pixels(rows, row - 1, height),
                _shared_pixels(columns, column, width),
                _shared_pixels(rows, row, height),
            ),
        )
        for number, (row, column) in enumerate(product(range(len(rows)), range(len(columns))), 1)
    ]


def select_tiles(tiles: Sequence[Tile], numbers: Collection[int]) -> list[Tile]:
    """The tiles with these numbers, or all tiles if there are no numbers. Raises FinishError for a
    number that does not exist."""
    count = len(tiles)
    if missing := [number for number in numbers if number > count]:
        available = "the only tile is 1" if count == 1 else f"the tiles are 1 to {count}"
        raise FinishError(f"there is no tile {missing[0]}", available)
    return [tile for tile in tiles if not numbers or tile.number in numbers]


def repaint_tiles(
    image: Image.Image, tiles: Sequence[Tile], wanted: Sequence[Tile], generate: GenerateWindow
) -> Image.Image:
    """Regenerate the `wanted` tiles of an RGB image; the rest stays as it is.

    A tile's pixels and its blending weights do not depend on which other tiles are wanted.
    """
    before = np.asarray(image)
    weights = np.zeros(before.shape[:2], np.float32)
    for tile in tiles:
        weights[_slices(tile)] += _blend_weight(tile, image.size)
    result = before.astype(np.float32)
    for tile in wanted:
        generated = generate(crop_padded(image, tile.box), None, tile.number - 1)
        place = _slices(tile)
        share = (_blend_weight(tile, image.size) / weights[place])[..., None]
        height, width = share.shape[:2]
        result[place] += share * (
            np.asarray(generated, np.float32)[:height, :width] - before[place]
        )
    return Image.fromarray(np.rint(result).clip(0, 255).astype(np.uint8))


def _overlap_pixels(side: int, overlap: float) -> int:
    pixels = round(side * overlap) if overlap < 1 else int(overlap)
    if pixels >= side:
        raise FinishError(
            f"tiles of {side} pixels cannot overlap by {pixels}",
            "use less overlap, or a larger -W -H",
        )
    return pixels


def _shared_pixels(begin: Sequence[int], first: int, length: int) -> int:
    """Pixels that a window shares with the next one; 0 if there is no next one."""
    if not 0 <= first < len(begin) - 1:
        return 0
    return max(0, begin[first] + length - begin[first + 1])


def _slices(tile: Tile) -> tuple[slice, slice]:
    """The tile's rows and columns; array slicing clips them to a smaller image."""
    return slice(tile.box.top, tile.box.bottom), slice(tile.box.left, tile.box.right)


def _blend_weight(tile: Tile, size: Size) -> Floats:
    """The tile's blending weight for each of its pixels inside the image."""
    (width, height), fades = tile.box.size, tile.fades
    across, down = _ramp(width, fades.left, fades.right), _ramp(height, fades.top, fades.bottom)
    inside = down[: size[1] - tile.box.top], across[: size[0] - tile.box.left]
    return np.outer(*inside).astype(np.float32)


def _ramp(length: int, before: int, after: int) -> Floats:
    """Weights of 1 that rise from near 0 over the first pixels, and fall over the last ones."""
    ramp = np.ones(length, np.float32)
    ramp[:before] = np.arange(1, before + 1) / (before + 1)
    ramp[length - after :] *= np.arange(after, 0, -1) / (after + 1)
    return ramp
