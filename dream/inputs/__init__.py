"""Pictures that pictures are made from: opened safely, whoever made the file; and their masks."""

from dream.inputs.masks import feathered, filled, fitted, inverted, mask_of, mask_of_alpha
from dream.inputs.opened import ENDINGS, Opened, fingerprint, measure, open_picture

__all__ = [
    "ENDINGS",
    "Opened",
    "feathered",
    "filled",
    "fingerprint",
    "fitted",
    "inverted",
    "mask_of",
    "mask_of_alpha",
    "measure",
    "open_picture",
]
