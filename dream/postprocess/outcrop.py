"""-c and -D: extends an image beyond its frame (outpainting). The existing pixels stay bit for bit.

The canvas grows side by side, by at most a quarter of a window at a time. The new pixels start with
the colours of the edge, and the model generates them through windows that show about three times as
many existing pixels. Each window regenerates some of its neighbour's new pixels and fades in over
them. At the image's own edge, which stays, the new colours are corrected to continue the old ones.
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
"""Pixels at an edge whose mean colour is continued, and which are regenerated with the new ones,
unless they are the image's own: a decoder's last rows are often off."""
_FADE = 8
"""A strip also regenerates an eighth of a window of the strip before it, and fades in over it."""

_OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
_OVERLAP = 4
"""Neighbouring windows share a quarter, so that each continues the one before."""
_STEP = 4
"""New pixels are a quarter of a window: if less of the image were visible, the subject would be
generated a second time."""


class Patch(NamedTuple):
    """One window, in pixels of the canvas at that step."""

    grows: Outcrop
    """How much the canvas grows before it; nothing if an earlier window of the strip has done
    that."""
    window: Box
    """What the model sees; beyond the canvas only if the canvas is smaller than a multiple."""
    new_area: Box
    """The part of the window that is copied to the canvas."""
    side: str
    """The side at which the canvas grows."""
    context: int
    """Pixels next to the new area, towards the image, that are generated too, to match the new
    colours to the existing ones."""
    fades: Box
    """Pixels at each side of the new area that fade into what was generated before."""

    @property
    def along_columns(self) -> bool:
        """Whether the strip is at the top or bottom, so that neighbouring windows are left and
        right."""
        return self.side in ("top", "bottom")

    @property
    def mask_area(self) -> Box:
        """What the model generates: the new area and its context."""
        left, top, right, bottom = self.new_area
        return Box(
            left - self.context * (self.side == "right"),
            top - self.context * (self.side == "bottom"),
            right + self.context * (self.side == "left"),
            bottom + self.context * (self.side == "top"),
        )


def plan_patches(size: Size, sides: Outcrop, window: Size, multiple: int) -> list[Patch]:
    """The windows that extend an image of this size, in order: right and left first, since these
    sides change an image's content least, then bottom and top."""
    patches: list[Patch] = []
    for side in ("right", "left", "bottom", "top"):
        left = getattr(sides, side)
        again = 0
        while left:
            along = side in ("top", "bottom")
            step = min(left, max(multiple, window[along] // _STEP))
            grows = Outcrop(**{side: step})
            size = _grown(size, grows)
            patches += _strip(size, side, step, again, fit_window(window, size, multiple), grows)
            left -= step
            again = min(step, _EDGE + window[along] // _FADE)
    return patches


def outcrop_image(
    image: Image.Image, sides: Outcrop, window: Size, multiple: int, generate: GenerateWindow
) -> Image.Image:
    """Extend the RGB image by these pixels at each side. `window` is the model's size; windows are
    multiples of `multiple`."""
    before = strip = image
    for number, patch in enumerate(plan_patches(image.size, sides, window, multiple)):
        if any(patch.grows):
            image = before = strip = extend_canvas(image, patch.grows)
        mask = Image.new("L", patch.window.size, 0)
        mask.paste(255, patch.mask_area.relative_to(patch.window))
        generated = generate(crop_padded(image, patch.window), mask, number)
        new = _match(generated, image, patch)
        along, across = _weights(patch)
        # Blend the strip's windows into one another, then the strip into what was there before.
        image, strip = image.copy(), strip.copy()
        strip.paste(new, patch.new_area[:2], along)
        image.paste(before.crop(patch.new_area), patch.new_area[:2])
        image.paste(strip.crop(patch.new_area), patch.new_area[:2], across)
    return image


def shift_image(image: Image.Image, shift: Shift) -> tuple[Image.Image, Outcrop]:
    """The part of an image that stays visible if it is shifted, and the sides to extend to its
    former size. The shift leaves at least one pixel of the image."""
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
    """The RGB image on a larger canvas, with its edges' mean colours continued."""
    if not any(sides):
        return image
    top, right, bottom, left = sides
    around = ((top, bottom), (left, right), (0, 0))
    return Image.fromarray(np.pad(np.asarray(image), around, mode="mean", stat_length=_EDGE))


def _match(generated: Image.Image, image: Image.Image, patch: Patch) -> Image.Image:
    """The patch's new area from the generated window, with its colours matched to the canvas."""
    window = Image.fromarray(hide_decoder_edge(np.asarray(generated)))
    new = np.asarray(window.crop(patch.mask_area.relative_to(patch.window)), np.float32)
    known_pixels = np.asarray(image.crop(patch.mask_area), np.float32)
    if patch.context:
        # Rotated so that the canvas grows downwards.
        turns = {"bottom": 0, "right": 3, "top": 2, "left": 1}[patch.side]
        known = np.rot90(known_pixels, turns)[: patch.context]
        new = np.rot90(match_colours(np.rot90(new, turns), known), -turns)
    matched = Image.fromarray(np.rint(new).clip(0, 255).astype(np.uint8))
    return matched.crop(patch.new_area.relative_to(patch.mask_area))


def _grown(size: Size, sides: Outcrop) -> Size:
    return size[0] + sides.left + sides.right, size[1] + sides.top + sides.bottom


def _weights(patch: Patch) -> tuple[Image.Image, Image.Image]:
    """The blending weights of the new area (L, 255 is opaque) against its neighbour along the
    strip, and against the canvas before the strip."""
    (width, height), fades = patch.new_area.size, patch.fades
    wide, high = _rising(width, fades.left, fades.right), _rising(height, fades.top, fades.bottom)
    by_columns = _as_mask(np.outer(np.ones(height), wide))
    by_rows = _as_mask(np.outer(high, np.ones(width)))
    return (by_columns, by_rows) if patch.along_columns else (by_rows, by_columns)


def _as_mask(weights: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.rint(255 * weights).astype(np.uint8))


def _rising(length: int, before: int, after: int) -> NDArray[np.float64]:
    """Weights of 1 that rise smoothly from near 0 over the first pixels, and fall over the last
    ones."""
    ramp = np.ones(length)
    for pixels, end in ((before, ramp), (after, ramp[::-1])):
        t = np.arange(1, pixels + 1) / (pixels + 1)
        end[:pixels] *= t * t * (3 - 2 * t)
    return ramp


def _strip(
    size: Size, side: str, step: int, again: int, window: Size, grows: Outcrop
) -> Iterator[Patch]:
    """The windows along a strip of `step` new pixels at one side of a canvas, which also
    regenerates `again` pixels of the strip before."""
    across = side in ("left", "right")
    length, reach = (size[1], window[1]) if across else (size[0], window[0])
    done, new = 0, step + again
    axis = 0 if across else 1
    # A strip that regenerates part of the one before has its context there.
    context = 0 if again else max(0, min(CONTEXT, size[axis] - step, window[axis] - step))
    fade = max(0, again - _EDGE)
    inner_fade = dict(zip(("left", "top", "right", "bottom"), (0,) * 4, strict=True))
    inner_fade[_OPPOSITE[side]] = fade
    for start in get_window_starts(length, reach, reach // _OVERLAP):
        end = min(length, start + reach)
        outer, inner = _outer(size, side, window, new)
        if across:
            box = Box(outer[0], start, outer[1], start + reach)
            area = Box(inner[0], start, inner[1], end)
            fades = Box(**inner_fade | {"top": done - start if done else 0})
        else:
            box = Box(start, outer[0], start + reach, outer[1])
            area = Box(start, inner[0], end, inner[1])
            fades = Box(**inner_fade | {"left": done - start if done else 0})
        yield Patch(Outcrop() if done else grows, box, area, side, context, fades)
        done = end


def _outer(
    size: Size, side: str, window: Size, new: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Across a strip: the range of pixels that a window covers, and the range that is generated."""
    axis = 0 if side in ("left", "right") else 1
    length, reach = size[axis], window[axis]
    if side in ("left", "top"):
        return (0, reach), (0, new)
    start = max(0, length - reach)
    return (start, start + reach), (length - new, length)
