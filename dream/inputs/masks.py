"""Reads masks, and resizes input images.

A mask is an image of mode L, as large as its input image: 255 is regenerated, 0 is kept. Mask files
are the other way round, as in InvokeAI: transparent areas are regenerated, or if there are none,
black ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dream.inputs.image_file import LoadedImage

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from PIL.Image import Image

    Array = NDArray[Any]

_THRESHOLD = 128


def read_mask(opened: LoadedImage) -> Image:
    """The mask in a mask file. If it has transparent parts, only those are regenerated (the file
    may be the input image with a hole); otherwise the black parts. The rest is kept."""
    if opened.alpha is not None:
        hole = mask_from_alpha(opened.alpha)
        if hole.getbbox():
            return hole
    return opened.image.convert("L").point(_mask_level)


def mask_from_alpha(alpha: Image) -> Image:
    """The mask of an image's own transparency: transparent parts are regenerated."""
    return alpha.point(_mask_level)


def invert_mask(mask: Image) -> Image:
    """Swap the regenerated and the kept parts."""
    from PIL import ImageChops

    return ImageChops.invert(mask)


def resize_to_cover(image: Image, width: int, height: int, *, whole: bool = False) -> Image:
    """Resize an image: scaled to cover the size and cropped equally on both sides, or with `whole`
    stretched to it. Masks (L) are resized without interpolation."""
    if image.size == (width, height):
        return image
    from PIL import Image as Images
    from PIL import ImageOps

    how = Images.Resampling.NEAREST if image.mode == "L" else Images.Resampling.LANCZOS
    return (
        image.resize((width, height), how) if whole else ImageOps.fit(image, (width, height), how)
    )


def fill_transparent(image: Image, alpha: Image) -> Image:
    """Fill the fully transparent parts of an image from their surroundings, if they have one single
    colour, as many programs leave it when they erase. Otherwise their colours are kept as a start
    for generation, as in InvokeAI."""
    import numpy as np
    from PIL import Image as Images

    colours, empty = np.asarray(image, np.float32), np.asarray(alpha) == 0
    inside = colours[empty]
    if not inside.size or empty.all() or (inside != inside[0]).any():
        return image
    spread = _pull_push(colours * ~empty[..., None], (~empty[..., None]).astype(np.float32))
    return Images.fromarray(np.where(empty[..., None], spread, colours).round().astype(np.uint8))


def place_on(image: Image, alpha: Image | None, grey: int) -> Image:
    """The image over one grey, 0 (black) to 255 (white), where it is transparent, so that what was
    cut out keeps its outline."""
    if alpha is None:
        return image
    from PIL import Image as Images

    return Images.composite(image, Images.new("RGB", image.size, (grey,) * 3), alpha)


def feather_mask(mask: Image, pixels: int) -> Image:
    """Soften the mask's edges, inwards only: 0 stays 0, so that nothing outside is changed; 255 is
    reached `pixels` from the edge. Edges of the image itself are not softened."""
    if pixels <= 0:
        return mask
    import numpy as np
    from PIL import Image as Images
    from PIL import ImageFilter

    inner, total = mask, np.asarray(mask, np.uint32)
    for _ in range(pixels):
        inner = inner.filter(ImageFilter.MinFilter(3))
        total = total + np.asarray(inner, np.uint32)
    return Images.fromarray((total // (pixels + 1)).astype(np.uint8), "L")


def _pull_push(colours: Array, weights: Array) -> Array:
    """Fill pixels without weight from their surroundings by pull-push, recursively at half the
    size. `colours` (h, w, 3) are premultiplied by `weights` (h, w, 1), 0 to 1. Gortler et al. 1996,
    "The Lumigraph", section 3.3."""
    import numpy as np

    height, width, _ = colours.shape
    if height == width == 1 or weights.min() == 1:
        result: Array = colours / np.maximum(weights, 1e-6)
        return result
    even = ((0, height % 2), (0, width % 2), (0, 0))

    def halved(values: Array) -> Array:
        padded = np.pad(values, even)
        summed: Array = padded.reshape(-(-height // 2), 2, -(-width // 2), 2, -1).sum((1, 3))
        return summed

    total = halved(weights)
    scale = np.minimum(1, total) / np.maximum(total, 1e-6)
    below = _pull_push(halved(colours) * scale, total * scale)
    behind = below.repeat(2, 0).repeat(2, 1)[:height, :width]
    filled: Array = colours + behind * (1 - weights)
    return filled


def _mask_level(level: int) -> int:
    return 255 if level < _THRESHOLD else 0
