"""Masks and sizes of the pictures one begins from.

A mask is an image of mode L as large as its picture: 255 is painted, 0 is kept. In files it is
told the other way round, as InvokeAI had it: what is transparent is painted, or without that
what is black.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dream.inputs.image_file import LoadedImage

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from PIL.Image import Image

    Array = NDArray[Any]

_HALF = 128


def read_mask(opened: LoadedImage) -> Image:
    """The mask that a mask's file tells: where a part is transparent, that part alone is painted,
    for the file may be the picture with a hole in it; else what is black. The rest is kept."""
    if opened.alpha is not None:
        hole = mask_from_alpha(opened.alpha)
        if hole.getbbox():
            return hole
    return opened.image.convert("L").point(_painted)


def mask_from_alpha(alpha: Image) -> Image:
    """The mask that a picture's own transparency tells."""
    return alpha.point(_painted)


def invert_mask(mask: Image) -> Image:
    """What was painted is kept, and the other way round."""
    from PIL import ImageChops

    return ImageChops.invert(mask)


def resize_to_cover(image: Image, width: int, height: int, *, whole: bool = False) -> Image:
    """The image in another size: scaled until it covers that, and cut equally at both sides; or
    the `whole` of it, stretched where the shape is another."""
    if image.size == (width, height):
        return image
    from PIL import Image as Images
    from PIL import ImageOps

    how = Images.Resampling.NEAREST if image.mode == "L" else Images.Resampling.LANCZOS
    return (
        image.resize((width, height), how) if whole else ImageOps.fit(image, (width, height), how)
    )


def fill_transparent(image: Image, alpha: Image) -> Image:
    """The picture with what is wholly transparent filled from around it, where nothing is there:
    many programs leave one colour below what they erase. Colours that differ stay, to paint from,
    as they did in InvokeAI."""
    import numpy as np
    from PIL import Image as Images

    colours, empty = np.asarray(image, np.float32), np.asarray(alpha) == 0
    inside = colours[empty]
    if not inside.size or empty.all() or (inside != inside[0]).any():
        return image
    spread = _spread(colours * ~empty[..., None], (~empty[..., None]).astype(np.float32))
    return Images.fromarray(np.where(empty[..., None], spread, colours).round().astype(np.uint8))


def feather_mask(mask: Image, pixels: int) -> Image:
    """The mask with edges that fade, inwards only: 0 stays 0, so that nothing outside is touched;
    255 is reached `pixels` from the edge. Where the mask ends at the picture's own edge, nothing
    fades."""
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


def _spread(colours: Array, weights: Array) -> Array:
    """Colours (h, w, 3), already times their weights (h, w, 1) of 0 to 1, spread to where there are
    none: from pictures of half the size, and of half of that … Gortler et al. 1996, "The
    Lumigraph", section 3.3."""
    import numpy as np

    height, width, _ = colours.shape
    if height == width == 1 or weights.min() == 1:
        alone: Array = colours / np.maximum(weights, 1e-6)
        return alone
    even = ((0, height % 2), (0, width % 2), (0, 0))

    def halved(values: Array) -> Array:
        padded = np.pad(values, even)
        summed: Array = padded.reshape(-(-height // 2), 2, -(-width // 2), 2, -1).sum((1, 3))
        return summed

    total = halved(weights)
    scale = np.minimum(1, total) / np.maximum(total, 1e-6)
    below = _spread(halved(colours) * scale, total * scale)
    behind = below.repeat(2, 0).repeat(2, 1)[:height, :width]
    whole: Array = colours + behind * (1 - weights)
    return whole


def _painted(level: int) -> int:
    return 255 if level < _HALF else 0
