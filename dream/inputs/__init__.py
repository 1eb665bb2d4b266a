"""Opens input images and masks safely; the files may be from anyone."""

from dream.inputs.image_file import (
    ENDINGS,
    LoadedImage,
    hash_file,
    measure_image,
    open_picture,
    read_bytes,
)
from dream.inputs.masks import (
    feather_mask,
    fill_transparent,
    invert_mask,
    mask_from_alpha,
    place_on,
    read_mask,
    resize_to_cover,
)

__all__ = [
    "ENDINGS",
    "LoadedImage",
    "feather_mask",
    "fill_transparent",
    "hash_file",
    "invert_mask",
    "mask_from_alpha",
    "measure_image",
    "open_picture",
    "place_on",
    "read_bytes",
    "read_mask",
    "resize_to_cover",
]
