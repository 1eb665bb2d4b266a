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
_FAINT_EDGE = 1.0
"""Levels per pixel of an image of that size: slower changes are no strokes."""
_STRONG, _CONTINUES = 0.35, 0.4
"""A stroke begins above the first share of the strongest edges, and goes on above the second share
of that."""
_STROKE = 7
"""Its width, in pixels of an image of that size."""
_SHORTEST, _MARGIN = 0.1, 0.015
"""Of strokes, and without any; shares of the image's shorter side."""
_CANNY_RANGE = 16_000
"""OpenCV's Canny takes whole numbers."""
_SLOW_EDGE = 4.0
"""Levels per pixel of an image of that size: soft edges that are slower are not white."""
_FAINT = 8
"""Differences that do not count when the strength of lines is measured."""


def draw_canny(image: Image.Image) -> Image.Image:
    """Edges of one pixel (Canny 1986)."""
    return _as_image(cv2.Canny(np.array(image.convert("RGB")), CANNY_LOW, CANNY_HIGH))


def draw_scribble(image: Image.Image) -> Image.Image:
    """A few bold strokes, as if drawn by hand, along the strongest edges, sharp or soft.

    Canny's edges of an image without its textures, with thresholds that follow its strongest edges;
    short pieces are left out, and the others widened. As AUTOMATIC1111's scribble_hed does with a
    network's edges; its scribble_xdog, a threshold on a difference of Gaussians, loses soft edges.
    """
    right, down = _find_outlines(image)
    length = np.hypot(right, down)
    edges = length[length > _FAINT_EDGE]
    if not edges.size:
        return _as_image(np.zeros(length.shape, np.uint8))
    high = max(_FAINT_EDGE, _STRONG * float(np.percentile(edges, 95)))
    scale = _CANNY_RANGE / float(length.max())
    dx, dy = ((axis * scale).astype(np.int16) for axis in (right, down))
    thin = cv2.Canny(dx, dy, _CONTINUES * high * scale, high * scale, L2gradient=True)
    inner = np.zeros(thin.shape, bool)
    margin = max(1, round(_MARGIN * min(image.size)))
    inner[margin:-margin, margin:-margin] = True
    return _as_image(_draw_strokes((thin > 0) & inner))


def _find_outlines(image: Image.Image) -> tuple[Levels, Levels]:
    """The gradient, to the right and down, in levels per pixel of an image of the usual size, each
    (h, w). It is weaker where directions around a pixel differ, as in textures: by the coherence of
    the structure tensor (Bigün and Granlund 1987)."""
    scale = min(image.size) / _USUAL_SIDE
    levels = _blur(_read_levels(image), 4.0, image)
    right, down = (cv2.Scharr(levels, cv2.CV_32F, *axis) / 32 * scale for axis in ((1, 0), (0, 1)))
    most = np.hypot(right, down).argmax(2)[..., None]  # the channel that changes most
    right, down = (np.take_along_axis(axis, most, 2)[..., 0] for axis in (right, down))
    xx, yy, xy = (_blur(part, 6.0, image) for part in (right**2, down**2, right * down))
    coherence = np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-6)
    return right * coherence, down * coherence


def _draw_strokes(thin: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Edges of one pixel, (h, w), widened; without those that are too short to be a stroke."""
    side = min(thin.shape)
    width = max(3, round(_STROKE * side / _USUAL_SIDE))
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    _, pieces = cv2.connectedComponents(cv2.dilate(thin.astype(np.uint8), pen))
    lengths = np.bincount(pieces[thin], minlength=int(pieces.max()) + 1)
    kept = thin & (lengths >= _SHORTEST * side)[pieces]
    return np.asarray(cv2.dilate(kept.astype(np.uint8) * 255, pen), np.uint8)


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
    the strongest 1 % is white, unless all edges are slow. Unlike HED, a network, it also finds
    textures."""
    levels = _blur(_read_levels(image), 2.0, image)
    length = np.hypot(cv2.Scharr(levels, cv2.CV_32F, 1, 0), cv2.Scharr(levels, cv2.CV_32F, 0, 1))
    soft = _blur(length.max(2), 1.0, image) / 32  # (h, w)
    slowest = _SLOW_EDGE * _USUAL_SIDE / min(image.size)
    strongest = max(float(np.percentile(soft, 99)), slowest)
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
