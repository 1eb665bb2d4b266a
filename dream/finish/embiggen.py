"""-embiggen: an enlarged picture painted over in tiles, with the detail that a plain enlargement
lacks. Each tile begins from what is there, and fades into its neighbours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.errors import FinishError
from dream.finish.windows import Box, Paint, fitting, seen, starts

Size = tuple[int, int]


class Tile(NamedTuple):
    """One tile of a picture."""

    number: int
    """From 1, from left to right and from top to bottom."""
    box: Box
    fades: Box
    """Over how many pixels it fades out at each of its sides."""


def tiles(
    size: Size, window: Size, overlap: float, chosen: Collection[int], multiple: int
) -> list[Tile]:
    """The tiles of a picture of this size; of all of them those chosen, or all where none is.

    `overlap` is a share of the tile's sides, or from 1 on pixels. Raises FinishError for an
    overlap as large as a tile, and for a tile that does not exist.
    """
    width, height = fitting(window, size, multiple)
    columns, rows = (
        starts(length, side, _overlap(side, overlap) if length > side else 0)
        for length, side in zip(size, (width, height), strict=True)
    )
    count = len(columns) * len(rows)
    if beyond := [number for number in chosen if number > count]:
        there = "there is only tile 1" if count == 1 else f"there are tiles 1 to {count}"
        raise FinishError(f"there is no tile {beyond[0]}", there)
    wanted = set(chosen) or set(range(1, count + 1))
    found = []
    for number, (row, column) in enumerate(product(range(len(rows)), range(len(columns))), 1):
        if number not in wanted:
            continue
        x, y = columns[column], rows[row]
        # Towards a neighbour that is painted later this one stays whole: that one fades over it.
        fades = Box(
            _shared(columns, column - 1, width),
            _shared(rows, row - 1, height),
            0 if number + 1 in wanted else _shared(columns, column, width),
            0 if number + len(columns) in wanted else _shared(rows, row, height),
        )
        found.append(Tile(number, Box(x, y, x + width, y + height), fades))
    return found


def embiggened(image: Image.Image, chosen: Sequence[Tile], paint: Paint) -> Image.Image:
    """The RGB picture with its tiles painted over. A tile's paint does not depend on others, so
    that one painted alone is as it would be among all."""
    canvas = image.copy()
    for tile in chosen:
        painted = paint(seen(image, tile.box), None, tile.number - 1)
        canvas.paste(painted, tile.box[:2], _faded(tile))
    return canvas


def _overlap(side: int, overlap: float) -> int:
    pixels = round(side * overlap) if overlap < 1 else int(overlap)
    if pixels >= side:
        raise FinishError(
            f"tiles of {side} pixels cannot overlap by {pixels}", "a smaller one, or larger -W -H"
        )
    return pixels


def _shared(begin: Sequence[int], first: int, length: int) -> int:
    """Pixels that a window shares with the next one; 0 where there are not both."""
    if not 0 <= first < len(begin) - 1:
        return 0
    return begin[first] + length - begin[first + 1]


def _faded(tile: Tile) -> Image.Image:
    """How much of the tile counts, pixel by pixel: L, 255 is all."""
    (width, height), fades = tile.box.size, tile.fades
    across = _ramp(width, fades.left, fades.right)
    down = _ramp(height, fades.top, fades.bottom)
    return Image.fromarray(np.rint(np.outer(down, across) * 255).astype(np.uint8))


def _ramp(length: int, before: int, after: int) -> NDArray[np.float64]:
    """1, but rising to it from 0 over the first pixels, and falling over the last."""
    ramp = np.ones(length)
    ramp[:before] = np.arange(1, before + 1) / (before + 1)
    ramp[length - after :] *= np.arange(after, 0, -1) / (after + 1)
    return ramp
