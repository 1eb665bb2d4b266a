"""-c and -D: a picture goes on beyond its frame. What was there stays, to the last bit.

The canvas grows side by side, by a quarter of a window at most at a time. The new pixels begin as
the edge's own colours, and the model paints them through windows that show three times as much of
what is there already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from dream.finish.windows import Box, Paint, fitting, seen, starts
from dream.frames import Outcrop, Shift

Size = tuple[int, int]

_EDGE = 8
"""Pixels at an edge whose mean goes on beyond it, and which are painted again with what follows,
unless they are the picture's own: the last rows are often a decoder's fault."""

_OVERLAP = 4
"""Neighbouring windows share a fourth: what one has painted the next goes on from."""
_STEP = 4
"""What is new is a fourth of a window: where less of the old is seen, all that the words name is
painted once more."""


class Patch(NamedTuple):
    """One window, in pixels of the canvas as it is then."""

    grows: Outcrop
    """How much the canvas grows before; nothing, where a window before it has seen to that."""
    window: Box
    """What the model sees; beyond the canvas only where that is smaller than a multiple."""
    fresh: Box
    """What it paints."""


def patches(size: Size, sides: Outcrop, window: Size, multiple: int) -> list[Patch]:
    """The windows through which a picture of this size grows, in their order: to the right and
    left first, for these sides change the least of what a picture shows, then down and up."""
    found: list[Patch] = []
    for side in ("right", "left", "bottom", "top"):
        left = getattr(sides, side)
        again = 0
        while left:
            along = side in ("top", "bottom")
            step = min(left, max(multiple, window[along] // _STEP))
            grows = Outcrop(**{side: step})
            size = _grown(size, grows)
            found += _strip(size, side, step + again, fitting(window, size, multiple), grows)
            left -= step
            again = _EDGE
    return found


def outcropped(
    image: Image.Image, sides: Outcrop, window: Size, multiple: int, paint: Paint
) -> Image.Image:
    """The RGB picture with so many pixels more at each side. `window` is the size that the model
    knows, in multiples of what it asks for."""
    for number, patch in enumerate(patches(image.size, sides, window, multiple)):
        image = grown(image, patch.grows)
        mask = Image.new("L", patch.window.size, 0)
        mask.paste(255, patch.fresh.within(patch.window))
        painted = paint(seen(image, patch.window), mask, number)
        image = image.copy()
        image.paste(painted.crop(patch.fresh.within(patch.window)), patch.fresh[:2])
    return image


def shifted(image: Image.Image, shift: Shift) -> tuple[Image.Image, Outcrop]:
    """What a frame that moves still shows, and what has to be added for it to be full again.
    It moves by no more than leaves a pixel of the picture."""
    width, height = image.size
    length = height if shift.side in ("top", "bottom") else width
    pixels = min(shift.pixels or max(1, length // 2), length - 1)
    cut = {
        "top": (0, 0, width, height - pixels),
        "right": (pixels, 0, width, height),
        "bottom": (0, pixels, width, height),
        "left": (0, 0, width - pixels, height),
    }
    return image.crop(cut[shift.side]), Outcrop(**{shift.side: pixels})


def grown(image: Image.Image, sides: Outcrop) -> Image.Image:
    """The RGB picture on a larger canvas, its edges' colours drawn on to the new ones."""
    if not any(sides):
        return image
    top, right, bottom, left = sides
    around = ((top, bottom), (left, right), (0, 0))
    return Image.fromarray(np.pad(np.asarray(image), around, mode="mean", stat_length=_EDGE))


def _grown(size: Size, sides: Outcrop) -> Size:
    return size[0] + sides.left + sides.right, size[1] + sides.top + sides.bottom


def _strip(size: Size, side: str, fresh: int, window: Size, grows: Outcrop) -> Iterator[Patch]:
    """The windows along a strip of so many pixels to be painted at one side of a canvas."""
    across = side in ("left", "right")
    length, reach = (size[1], window[1]) if across else (size[0], window[0])
    done = 0
    for start in starts(length, reach, reach // _OVERLAP):
        end = min(length, start + reach)
        outer, inner = _outer(size, side, window, fresh)
        if across:
            box = Box(outer[0], start, outer[1], start + reach)
            painted = Box(inner[0], done, inner[1], end)
        else:
            box = Box(start, outer[0], start + reach, outer[1])
            painted = Box(done, inner[0], end, inner[1])
        yield Patch(Outcrop() if done else grows, box, painted)
        done = end


def _outer(
    size: Size, side: str, window: Size, fresh: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Across a strip: from where to where a window reaches, and what is painted."""
    axis = 0 if side in ("left", "right") else 1
    length, reach = size[axis], window[axis]
    if side in ("left", "top"):
        return (0, reach), (0, fresh)
    start = max(0, length - reach)
    return (start, start + reach), (length - fresh, length)
