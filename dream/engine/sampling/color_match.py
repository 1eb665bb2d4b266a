"""Gives an image the colours of another (`--init_color`): histograms matched in CIELAB."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray[Any, np.dtype[np.float32]]

MAX_REFERENCE_SIDE = 512
"""Pixels of the reference's longer side, at most: its histogram stays the same, and sorts
faster."""

# sRGB to CIE XYZ over its white, D65 (IEC 61966-2-1).
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ],
    np.float32,
)
_WHITE = _TO_XYZ.sum(1)
_DELTA = 6 / 29


def match_histograms(image: Image.Image, reference: Image.Image) -> Image.Image:
    """The RGB image with the lightness and colours of another: each channel of CIELAB is mapped so
    that its values are as frequent as there. Shapes are unchanged."""
    reference = reference.convert("RGB")
    reference.thumbnail((MAX_REFERENCE_SIDE, MAX_REFERENCE_SIDE), Image.Resampling.NEAREST)
    ours, theirs = _lab(image), _lab(reference)
    matched = [_matched(ours[..., channel], theirs[..., channel]) for channel in range(3)]
    return Image.fromarray(_rgb(np.stack(matched, -1)), "RGB")


def _matched(values: Array, reference: Array) -> Array:
    """Map values onto the reference's, each to the one of its own rank.

    A frequent value gets the middle of its ranks: with the last of them, as is usual, an image of
    one colour would take the reference's lightest.
    """
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    theirs, frequent = np.unique(reference, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2) / values.size
    mapped: Array = theirs[np.searchsorted(np.cumsum(frequent) / reference.size, ranks)]
    return mapped[where].reshape(values.shape)


def _lab(image: Image.Image) -> Array:
    """(height, width, 3) of CIELAB."""
    coded = np.asarray(image, np.float32) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    root = np.where(xyz > _DELTA**3, np.cbrt(xyz), xyz / (3 * _DELTA**2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


def _rgb(lab: Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(height, width, 3) of sRGB, from CIELAB; colours outside sRGB are clipped."""
    light, red, yellow = np.moveaxis(lab, -1, 0)
    y = (light + 16) / 116
    root = np.stack([y + red / 500, y, y - yellow / 200], -1)
    xyz = np.where(root > _DELTA, root**3, 3 * _DELTA**2 * (root - 4 / 29)) * _WHITE
    linear = (xyz @ np.linalg.inv(_TO_XYZ).T).clip(0, 1)
    coded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    rounded: np.ndarray[Any, np.dtype[np.uint8]] = (coded * 255).round().astype(np.uint8)
    return rounded
