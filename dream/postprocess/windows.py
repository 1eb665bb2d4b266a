"""The windows through which the model processes a larger image, and their positions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image


class Box(NamedTuple):
    """A rectangle of pixels, as in Pillow: right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    def relative_to(self, other: Box) -> Box:
        """The same rectangle, relative to the other's corner."""
        x, y = other.left, other.top
        return Box(self.left - x, self.top - y, self.right - x, self.bottom - y)


GenerateWindow = Callable[[Image.Image, Image.Image | None, int], Image.Image]
"""Regenerates a window: takes its pixels (RGB), the mask (L, 255 is generated, 0 is kept; None is
all of it) and its number from 0; returns the window in the same size."""


def get_window_starts(length: int, window: int, overlap: int) -> list[int]:
    """Where windows begin along a side so that they cover it, with at least this overlap,
    distributed as evenly as pixels allow. `overlap` is less than `window`."""
    if length <= window:
        return [0]
    last = math.ceil((length - overlap) / (window - overlap)) - 1
    return [round(number * (length - window) / last) for number in range(last + 1)]


def fit_window(window: tuple[int, int], size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """The window's size for a smaller image: the image's own, rounded up to a multiple."""
    return tuple(  # type: ignore[return-value]
        min(side, math.ceil(length / multiple) * multiple)
        for side, length in zip(window, size, strict=True)
    )


def crop_padded(image: Image.Image, box: Box) -> Image.Image:
    """The pixels of a window; beyond the image's right and bottom edge its last pixels are
    repeated."""
    width, height = image.size
    inside = np.asarray(
        image.crop((box.left, box.top, min(box.right, width), min(box.bottom, height)))
    )
    right, below = max(0, box.right - width), max(0, box.bottom - height)
    return Image.fromarray(np.pad(inside, ((0, below), (0, right), (0, 0)), mode="edge"))
