"""-c and -D: a picture goes on beyond its frame. What was there stays, to the last bit.

The canvas grows side by side, by a quarter of a window at most at a time. The new pixels begin as
the edge's own colours, and the model paints them through windows that show some three times as much
of what is there already. Each window paints some of its neighbour's new pixels again, from what is
there, and fades in over them. The picture's own edge stays: there the new colours are corrected
until they go on from the old ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.options.outpaint import Outcrop, Shift
from dream.postprocess.joins import CONTEXT, hide_decoder_edge, match_colours
from dream.postprocess.windows import (
    Box,
    GenerateWindow,
    crop_padded,
    fit_window,
    get_window_starts,
)

Size = tuple[int, int]

_EDGE = 8
"""Pixels at an edge whose mean goes on beyond it, and which are painted anew with what follows,
unless they are the picture's own: the last rows are often a decoder's fault."""
_FADE = 8
"""Of a strip, an eighth of a window more is painted again, for the next one to fade in over."""

_OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
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
    new_area: Box
    """What of it goes into the canvas."""
    side: str
    """Where the canvas grows."""
    context: int
    """Pixels beyond the new area, towards the picture, that are painted too, for the new colours to
    be matched to what is there."""
    fades: Box
    """Pixels at each side of what it paints over which it fades into what was painted before."""

    @property
    def along_columns(self) -> bool:
        """Whether its strip lies along the top or bottom, so that its neighbours are left and
        right."""
        return self.side in ("top", "bottom")

    @property
    def mask_area(self) -> Box:
        """What the model paints: the new area and its context."""
        left, top, right, bottom = self.new_area
        return Box(
            left - self.context * (self.side == "right"),
            top - self.context * (self.side == "bottom"),
            right + self.context * (self.side == "left"),
            bottom + self.context * (self.side == "top"),
        )


def plan_patches(size: Size, sides: Outcrop, window: Size, multiple: int) -> list[Patch]:
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
            found += _strip(size, side, step, again, fit_window(window, size, multiple), grows)
            left -= step
            again = min(step, _EDGE + window[along] // _FADE)
    return found


def outcrop_image(
    image: Image.Image, sides: Outcrop, window: Size, multiple: int, generate: GenerateWindow
) -> Image.Image:
    """The RGB picture with so many pixels more at each side. `window` is the size that the model
    knows, in multiples of what it asks for."""
    before = strip = image
    for number, patch in enumerate(plan_patches(image.size, sides, window, multiple)):
        if any(patch.grows):
            image = before = strip = extend_canvas(image, patch.grows)
        mask = Image.new("L", patch.window.size, 0)
        mask.paste(255, patch.mask_area.relative_to(patch.window))
        generated = generate(crop_padded(image, patch.window), mask, number)
        fresh = _match(generated, image, patch)
        along, across = _weights(patch)
        # First the strip's windows into one another, then what they are into the strip before.
        image, strip = image.copy(), strip.copy()
        strip.paste(fresh, patch.new_area[:2], along)
        image.paste(before.crop(patch.new_area), patch.new_area[:2])
        image.paste(strip.crop(patch.new_area), patch.new_area[:2], across)
    return image


def shift_image(image: Image.Image, shift: Shift) -> tuple[Image.Image, Outcrop]:
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


def extend_canvas(image: Image.Image, sides: Outcrop) -> Image.Image:
    """The RGB picture on a larger canvas, its edges' colours drawn on to the new ones."""
    if not any(sides):
        return image
    top, right, bottom, left = sides
    around = ((top, bottom), (left, right), (0, 0))
    return Image.fromarray(np.pad(np.asarray(image), around, mode="mean", stat_length=_EDGE))


def _match(generated: Image.Image, image: Image.Image, patch: Patch) -> Image.Image:
    """The patch's new area, of a window as it was painted, so that it goes on from the canvas."""
    window = Image.fromarray(hide_decoder_edge(np.asarray(generated)))
    new = np.asarray(window.crop(patch.mask_area.relative_to(patch.window)), np.float32)
    known_pixels = np.asarray(image.crop(patch.mask_area), np.float32)
    if patch.context:
        # Turned so that the canvas grows downwards.
        turns = {"bottom": 0, "right": 3, "top": 2, "left": 1}[patch.side]
        known = np.rot90(known_pixels, turns)[: patch.context]
        new = np.rot90(match_colours(np.rot90(new, turns), known), -turns)
    matched = Image.fromarray(np.rint(new).clip(0, 255).astype(np.uint8))
    return matched.crop(patch.new_area.relative_to(patch.mask_area))


def _grown(size: Size, sides: Outcrop) -> Size:
    return size[0] + sides.left + sides.right, size[1] + sides.top + sides.bottom


def _weights(patch: Patch) -> tuple[Image.Image, Image.Image]:
    """How much of what a window painted counts against its neighbour along the strip, and of the
    strip against the one before it: each L, 255 is all."""
    (width, height), fades = patch.new_area.size, patch.fades
    wide, high = _rising(width, fades.left, fades.right), _rising(height, fades.top, fades.bottom)
    by_columns = _as_mask(np.outer(np.ones(height), wide))
    by_rows = _as_mask(np.outer(high, np.ones(width)))
    return (by_columns, by_rows) if patch.along_columns else (by_rows, by_columns)


def _as_mask(weights: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.rint(255 * weights).astype(np.uint8))


def _rising(length: int, before: int, after: int) -> NDArray[np.float64]:
    """1, but smoothly from near 0 to it over the first pixels, and back over the last."""
    ramp = np.ones(length)
    for pixels, there in ((before, ramp), (after, ramp[::-1])):
        t = np.arange(1, pixels + 1) / (pixels + 1)
        there[:pixels] *= t * t * (3 - 2 * t)
    return ramp


def _strip(
    size: Size, side: str, step: int, again: int, window: Size, grows: Outcrop
) -> Iterator[Patch]:
    """The windows along a strip of new pixels at one side of a canvas, and of so many of the strip
    before it `again`."""
    across = side in ("left", "right")
    length, reach = (size[1], window[1]) if across else (size[0], window[0])
    done, fresh = 0, step + again
    axis = 0 if across else 1
    # A strip that paints over the one before it has its context in that.
    context = 0 if again else max(0, min(CONTEXT, size[axis] - step, window[axis] - step))
    fade = max(0, again - _EDGE)
    inner_fade = dict(zip(("left", "top", "right", "bottom"), (0,) * 4, strict=True))
    inner_fade[_OPPOSITE[side]] = fade
    for start in get_window_starts(length, reach, reach // _OVERLAP):
        end = min(length, start + reach)
        outer, inner = _outer(size, side, window, fresh)
        if across:
            box = Box(outer[0], start, outer[1], start + reach)
            painted = Box(inner[0], start, inner[1], end)
            fades = Box(**inner_fade | {"top": done - start if done else 0})
        else:
            box = Box(start, outer[0], start + reach, outer[1])
            painted = Box(start, inner[0], end, inner[1])
            fades = Box(**inner_fade | {"left": done - start if done else 0})
        yield Patch(Outcrop() if done else grows, box, painted, side, context, fades)
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
