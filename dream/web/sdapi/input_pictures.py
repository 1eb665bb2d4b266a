"""What AUTOMATIC1111 does with an input image before it generates: size, mask, masked content."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from dream.web.refusal import Refusal
from dream.web.upload import open_upload

if TYPE_CHECKING:
    from PIL.Image import Image

STRETCH, CROP, FILL = 0, 1, 2
"""Values of `resize_mode`; 3 stretches latents."""
MAX_SIDE = 4096
_HALF = 128
_BLURS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""Radius in pixels and repeats, from far to near: modules/masking.py, fill."""

Size = tuple[int, int]


def read_picture(data: bytes, size: Size | None, mode: int) -> Image:
    """An input image, RGB, on white where it is transparent, resized. Raises InputError, Refusal
    for a size out of range."""
    from PIL import Image as Images

    opened = open_upload(data)
    image = opened.image
    if opened.alpha is not None:
        image = Images.composite(image, Images.new("RGB", image.size, "white"), opened.alpha)
    return resize(image, size, mode)


def read_painted(data: bytes, size: Size, mode: int, invert: bool) -> Image:
    """Where a client wants something new: an image of mode L with 255 there, 0 elsewhere. A mask
    is white there or, if it has transparency, opaque. Raises InputError."""
    opened = open_upload(data)
    mask = opened.alpha if opened.alpha is not None else opened.image.convert("L")
    mask = resize(mask, size, mode).point(lambda level: 255 if level >= _HALF else 0)
    return mask.point(lambda level: 255 - level) if invert else mask


def resize(image: Image, size: Size | None, mode: int) -> Image:
    """Stretched, or cropped to the shape, or with its edges drawn out to it."""
    from PIL import Image as Images
    from PIL import ImageOps

    if size is None or image.size == size:
        return image
    if not all(0 < side <= MAX_SIDE for side in size):
        raise Refusal(422, f"width and height are numbers from 64 to {MAX_SIDE}")
    how = Images.Resampling.LANCZOS
    if mode == CROP:
        return ImageOps.fit(image, size, how)
    if mode != FILL:
        return image.resize(size, how)
    whole = ImageOps.contain(image, size, how)
    return _draw_out(whole, size)


def _draw_out(image: Image, size: Size) -> Image:
    """The image in the middle, its outermost rows or columns repeated outside."""
    from PIL import Image as Images

    left, top = (size[0] - image.width) // 2, (size[1] - image.height) // 2
    canvas = Images.new(image.mode, size)
    width, height = image.size
    if left or width < size[0]:
        right = size[0] - left - width
        canvas.paste(image.crop((0, 0, 1, height)).resize((max(1, left), size[1])), (0, 0))
        edge = image.crop((width - 1, 0, width, height)).resize((max(1, right), size[1]))
        canvas.paste(edge, (left + width, 0))
    if top or height < size[1]:
        below = size[1] - top - height
        canvas.paste(image.crop((0, 0, width, 1)).resize((size[0], max(1, top))), (0, 0))
        edge = image.crop((0, height - 1, width, height)).resize((size[0], max(1, below)))
        canvas.paste(edge, (0, top + height))
    canvas.paste(image, (left, top))
    return canvas


def fill_painted(image: Image, painted: Image, blur: int) -> Image:
    """`inpainting_fill` 0: the masked parts become the blurred colours of what is around them. So
    many pixels of soft edge, in which the image itself shows through, stay as they are."""
    from PIL import Image as Images
    from PIL import ImageChops, ImageFilter

    kept = Images.new("RGBa", image.size)
    kept.paste(image.convert("RGBA").convert("RGBa"), mask=ImageChops.invert(painted))
    filled = Images.new("RGBA", image.size)
    for radius, repeats in _BLURS:
        blurred = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(repeats):
            filled.alpha_composite(blurred)
    return Images.composite(filled.convert("RGB"), image, _shrink(painted, blur))


def grey_painted(image: Image, painted: Image, blur: int) -> Image:
    """`inpainting_fill` 3, latents of zeros, are a plain grey in most models; the soft edge as
    above."""
    grey = image.copy()
    grey.paste((_HALF, _HALF, _HALF), mask=_shrink(painted, blur))
    return grey


def _shrink(painted: Image, pixels: int) -> Image:
    """The mask without its soft edge; the whole mask where nothing else is left."""
    from PIL import ImageFilter

    inner = painted
    for _ in range(pixels):
        inner = inner.filter(ImageFilter.MinFilter(3))
    return inner if inner.getbbox() else painted


def make_mask_file(painted: Image) -> bytes:
    """A mask as dream reads it: black where something new is made."""
    return encode_png(painted.point(lambda level: 255 - level))


def encode_png(image: Image) -> bytes:
    """The bytes of a PNG."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()
