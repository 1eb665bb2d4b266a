"""Converts Pillow images to float arrays for a network, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

_MODES = ("L", "LA", "RGB", "RGBA", "I;16")
"""Modes that are kept; others are converted to the nearest of these."""


@dataclass(frozen=True)
class ImageArrays:
    """An image as arrays for a network: every value in 0..1."""

    rgb: Floats
    """(h, w, 3); for grey images the same channel three times."""
    alpha: Floats | None
    """(h, w, 3), the same channel three times; None for an opaque image."""


def normalize_mode(image: Image.Image) -> Image.Image:
    """Convert an image to a mode that can be upscaled; unchanged if it already has one.

    Palettes become RGB, bitmaps L, other 16-bit greys I;16; transparency is kept.
    """
    if image.mode in _MODES:
        return image
    if image.mode == "I" or image.mode.startswith("I;16"):
        greys = np.asarray(image).clip(0, 65535).astype(np.uint16)
        return Image.fromarray(greys)
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def to_arrays(image: Image.Image) -> ImageArrays:
    """An image of a normalized mode as float arrays."""
    values = np.atleast_3d(np.asarray(image)).astype(np.float32) / np.float32(
        _max_level(image.mode)
    )
    colours = values[..., :-1] if image.mode in ("LA", "RGBA") else values
    alpha = values[..., -1:] if image.mode in ("LA", "RGBA") else None
    return ImageArrays(_three_channels(colours), None if alpha is None else _three_channels(alpha))


def from_arrays(planes: ImageArrays, mode: str) -> Image.Image:
    """Convert back to an image of the given mode. Grey is the average of the channels. The arrays
    are overwritten, to save memory."""
    values = planes.rgb if mode.startswith("RGB") else planes.rgb.mean(axis=2, keepdims=True)
    if planes.alpha is not None:
        values = np.concatenate([values, planes.alpha.mean(axis=2, keepdims=True)], axis=2)
    values *= np.float32(_max_level(mode))
    return _to_image(values if values.shape[2] > 1 else values[..., 0], mode)


def blend(plain: Image.Image, upscaled: Image.Image, strength: float) -> Image.Image:
    """Interpolate from `plain` (strength 0) to `made` (strength 1); like Image.blend, but also for
    16 bits, and rounded instead of truncated."""
    below, above = (np.asarray(image).astype(np.float32) for image in (plain, upscaled))
    above -= below
    above *= np.float32(strength)
    above += below
    return _to_image(above, plain.mode)


def _to_image(values: Floats, mode: str) -> Image.Image:
    depth = np.uint16 if mode == "I;16" else np.uint8
    return Image.fromarray(np.rint(values, out=values).astype(depth))


def _max_level(mode: str) -> int:
    return 65535 if mode == "I;16" else 255


def _three_channels(plane: Floats) -> Floats:
    return plane if plane.shape[2] == 3 else np.repeat(plane, 3, axis=2)
