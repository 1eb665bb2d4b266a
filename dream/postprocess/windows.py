"""The model sees a large picture through windows of the size it knows: where they lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image


class Box(NamedTuple):
    """A rectangle of pixels, as Pillow has it: right and bottom are the first beyond it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    def relative_to(self, other: Box) -> Box:
        """The same rectangle, seen from the other's corner."""
        x, y = other.left, other.top
        return Box(self.left - x, self.top - y, self.right - x, self.bottom - y)


GenerateWindow = Callable[[Image.Image, Image.Image | None, int], Image.Image]
"""The model's hand: what a window shows (RGB), the mask (L, 255 is painted, 0 kept; None is all),
and the window's number from 0; the window painted, of the same size."""


def get_window_starts(length: int, window: int, overlap: int) -> list[int]:
    """Where windows begin along a side, for them to cover it, with at least so much overlap and
    the same from one to the next, as near as pixels go. `overlap` is less than `window`."""
    if length <= window:
        return [0]
    last = math.ceil((length - overlap) / (window - overlap)) - 1
    return [round(number * (length - window) / last) for number in range(last + 1)]


def fit_window(window: tuple[int, int], size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """The window's size where the picture is smaller: its own, up to the next multiple."""
    return tuple(  # type: ignore[return-value]
        min(side, math.ceil(length / multiple) * multiple)
        for side, length in zip(window, size, strict=True)
    )


def crop_padded(image: Image.Image, box: Box) -> Image.Image:
    """What a window shows; beyond the picture's right and bottom edge its last pixels go on."""
    width, height = image.size
    inside = np.asarray(
        image.crop((box.left, box.top, min(box.right, width), min(box.bottom, height)))
    )
    right, below = max(0, box.right - width), max(0, box.bottom - height)
    return Image.fromarray(np.pad(inside, ((0, below), (0, right), (0, 0)), mode="edge"))
