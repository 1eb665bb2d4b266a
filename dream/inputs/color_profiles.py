"""Converts images of any mode to 8-bit sRGB, and their transparency to an alpha channel."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.core.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsProfile

_TOLERANCE = 3
"""Levels (of 255) by which a profile named sRGB may differ from sRGB: rounding."""
_UNPREMULTIPLIED = {"RGBa": "RGBA", "La": "LA"}
"""Modes with premultiplied alpha → the same modes without."""
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Colour spaces of profiles → Pillow's modes for them."""


def convert_to_srgb(path: Path, image: Image) -> tuple[Image, Image | None]:
    """Convert a decoded image of any mode to RGB in sRGB, through its own colour profile if it has
    one. Also returns its alpha (L, 0 is transparent), or None if it is opaque. Raises InputError
    for pixels of more than 16 bits."""
    image = image.convert(_UNPREMULTIPLIED[image.mode]) if image.mode in _UNPREMULTIPLIED else image
    alpha = _alpha(image)
    plain = _to_eight_bits(path, image)
    rgb = _apply_profile(plain, image.info.get("icc_profile"))
    result = (_to_rgb(plain) if rgb is None else rgb).copy()
    result.info = {}
    return result, alpha


def fix_transparency(image: Image) -> None:
    """Scale the transparent colour of an opened PNG to the depth of its decoded pixels: the file
    has it in its own depth, such as 3 of 3 for white in two bits. Call it before decoding."""
    transparent = image.info.get("transparency")
    tiles = getattr(image, "tile", None)  # only images opened from files have it
    if transparent is None or image.format != "PNG" or not tiles:
        return
    stored = tiles[0].args
    if isinstance(transparent, int) and stored in ("L;2", "L;4"):
        image.info["transparency"] = transparent * (85 if stored == "L;2" else 17)
    elif isinstance(transparent, tuple) and stored == "RGB;16B":
        image.info["transparency"] = tuple(level >> 8 for level in transparent)


def _alpha(image: Image) -> Image | None:
    transparent = image.info.get("transparency")
    if image.mode in ("1", "L", "RGB") or image.mode.startswith("I"):
        alpha = None if transparent is None else _alpha_from_colour(image, transparent)
    elif image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
    else:
        alpha = None
    return None if alpha is None or alpha.getextrema()[0] == 255 else alpha


def _alpha_from_colour(image: Image, transparent: Any) -> Image | None:
    """An alpha channel that is opaque except where the image has the file's transparent colour."""
    import numpy as np
    from PIL import Image as Images

    values = np.asarray(image).astype(np.int64)
    values = (values * 255 if image.mode == "1" else values).reshape(*values.shape[:2], -1)
    levels = np.atleast_1d(np.asarray(transparent))
    if levels.shape != values.shape[2:] or levels.dtype.kind != "i":
        return None  # an invalid entry is ignored
    return Images.fromarray(np.where((values == levels).all(-1), 0, 255).astype(np.uint8), "L")


def _to_eight_bits(path: Path, image: Image) -> Image:
    """Scale 16-bit grey to 8 bits; Pillow would clip it at 255."""
    if image.mode == "F":
        raise InputError(f"{path} has floating-point pixels", "save it with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    import numpy as np
    from PIL import Image as Images

    values = np.asarray(image).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise InputError(f"{path} has pixels of 32 bits", "save it with 8 or 16 bits")
    return Images.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8), "L")


def _to_rgb(image: Image) -> Image:
    """Convert to RGB by Pillow; colours under transparent pixels are kept."""
    return image.convert("RGBA").convert("RGB") if image.mode == "PA" else image.convert("RGB")


# ── colour profiles ────────────────────────────────────────────────────────────────────────────


def _apply_profile(image: Image, profile: Any) -> Image | None:
    """RGB through the file's profile. None if there is no profile, if it is sRGB, or if it is
    damaged or has another colour space than the image."""
    if not isinstance(profile, bytes) or not profile:
        return None
    from PIL import ImageCms

    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODE_OF_SPACE.get(parsed.profile.xcolor_space.strip())
        if mode is None or not _is_compatible(image, mode) or _is_srgb(parsed, mode):
            return None
        base = image if image.mode == mode else _to_rgb(image).convert(mode)
        return _convert(base, parsed)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _is_compatible(image: Image, mode: str) -> bool:
    """Whether an image's colours can be of that mode: palettes are RGB, grey can be L or RGB, CMYK
    and Lab are only themselves."""
    grey = image.mode in ("1", "L", "LA")
    if image.mode in ("CMYK", "LAB"):
        return image.mode == mode
    return mode == "RGB" or (mode == "L" and grey)


def _is_srgb(profile: ImageCmsProfile, mode: str) -> bool:
    """Whether a profile is named sRGB and is sRGB ("linear sRGB" is not). Such an image is not
    converted, so its pixels stay exactly the same."""
    from PIL import Image as Images
    from PIL import ImageCms

    if mode != "RGB" or "sRGB" not in ImageCms.getProfileDescription(profile):
        return False
    levels = range(0, 256, 51)
    cube = bytes(level for r in levels for g in levels for b in levels for level in (r, g, b))
    before = Images.frombytes("RGB", (36, 6), cube)
    after = _convert(before, profile).tobytes()
    return max(abs(a - b) for a, b in zip(cube, after, strict=True)) <= _TOLERANCE


def _convert(image: Image, own: ImageCmsProfile) -> Image:
    """Convert an image from a profile to sRGB. Raises PyCMSError."""
    from PIL import ImageCms

    srgb = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
    assert converted is not None, "profileToProfile returns None only with inPlace"
    return converted
