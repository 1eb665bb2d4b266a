"""Edges and lines of an image, by OpenCV: white on black.

Each pixel takes the channel that changes most, so that a red object on a blue background of the
same lightness has an outline too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Levels = NDArray[np.float32]
"""(h, w, 3) or (h, w), 0..255."""

CANNY_LOW, CANNY_HIGH = 100, 200
"""Gradients, in levels: an edge begins above the second and goes on above the first. Defaults of
ControlNet's own annotator and of AUTOMATIC1111's extension."""
_USUAL_SIDE = 512
"""The widths of the filters below are for images whose shorter side has this many pixels."""
_SCRIBBLE_THRESHOLD = 16
_FAINT = 8
"""Differences that do not count when the strength of lines is measured."""


def draw_canny(image: Image.Image) -> Image.Image:
    """Edges of one pixel (Canny 1986)."""
    return _as_image(cv2.Canny(np.array(image.convert("RGB")), CANNY_LOW, CANNY_HIGH))


def draw_scribble(image: Image.Image) -> Image.Image:
    """Rough lines: where a pixel is darker than its surroundings by a threshold (difference of
    Gaussians, Winnemöller et al. 2012), with the numbers of AUTOMATIC1111's scribble_xdog."""
    levels = _read_levels(image)
    darker = _blur(levels, 5.0, image) - _blur(levels, 0.5, image)  # (h, w, 3)
    return _as_image(np.where(darker.max(2) > _SCRIBBLE_THRESHOLD, np.uint8(255), np.uint8(0)))


def draw_lineart(image: Image.Image) -> Image.Image:
    """Fine lines in shades of grey: how much darker a pixel is than its surroundings; the median
    line is half as bright as white. AUTOMATIC1111's lineart_standard."""
    levels = _read_levels(image)
    darker = (_blur(levels, 6.0, image) - levels).max(2).clip(0, 255)  # (h, w)
    lines = darker[darker > _FAINT]
    usual = max(16.0, float(np.median(lines)) if lines.size else 0.0)
    return _as_image((darker / usual * 127).clip(0, 255).astype(np.uint8))


def draw_soft_edges(image: Image.Image) -> Image.Image:
    """Edges with soft borders: the gradient's length on a slightly blurred image, blurred again;
    the strongest 1 % is white. Unlike HED, a network, it also finds textures."""
    levels = _blur(_read_levels(image), 2.0, image)
    length = np.hypot(cv2.Scharr(levels, cv2.CV_32F, 1, 0), cv2.Scharr(levels, cv2.CV_32F, 0, 1))
    soft = _blur(length.max(2), 1.0, image)  # (h, w)
    strongest = max(float(np.percentile(soft, 99)), 1.0)
    return _as_image((soft / strongest * 255).clip(0, 255).astype(np.uint8))


def _read_levels(image: Image.Image) -> Levels:
    return np.asarray(image.convert("RGB"), np.float32)


def _blur(levels: Levels, sigma: float, image: Image.Image) -> Levels:
    """Blurred by a Gaussian; sigma is in pixels of an image of the usual size."""
    return np.asarray(
        cv2.GaussianBlur(levels, (0, 0), max(0.5, sigma * min(image.size) / _USUAL_SIDE)),
        np.float32,
    )


def _as_image(levels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(levels).convert("RGB")


EDGE_MAPS: Mapping[str, Callable[[Image.Image], Image.Image]] = MappingProxyType(
    {
        "canny": draw_canny,
        "scribble": draw_scribble,
        "lineart": draw_lineart,
        "softedge": draw_soft_edges,
    }
)
"""From an RGB image to its map, RGB of the same size, by kind."""
