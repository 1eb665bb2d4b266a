"""The formats that images are saved in, and the metadata that is written into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from dream.options.option_type import OptionType

PNG = "png"


class ImageFormat(NamedTuple):
    """A format that images are saved in."""

    pillow: str
    """Its name in Pillow."""
    ending: str
    longest_side: int
    """Pixels."""


FORMATS: Mapping[str, ImageFormat] = MappingProxyType(
    {
        PNG: ImageFormat("PNG", ".png", 2**31 - 1),
        "jpeg": ImageFormat("JPEG", ".jpg", 65_500),
        "webp": ImageFormat("WEBP", ".webp", 16_383),
        "avif": ImageFormat("AVIF", ".avif", 16_384),
    }
)
ENDINGS = tuple(row.ending for row in FORMATS.values())
"""The endings of files that dream writes."""
READ_ENDINGS = (*ENDINGS, ".jpeg")
"""The endings of image files whose records are read."""

DREAM, A1111, TEXT_FILE, NONE = "dream", "a1111", "txt", "none"
METADATA_KINDS = (DREAM, A1111, TEXT_FILE)
BOTH = (DREAM, A1111)
"""What is written by default."""


def _read_metadata(words: Sequence[str]) -> tuple[str, ...]:
    names = [] if words[0] == NONE else words[0].split(",")
    if any(name not in METADATA_KINDS for name in names):
        raise ValueError
    return tuple(kind for kind in METADATA_KINDS if kind in names)


METADATA: OptionType[tuple[str, ...]] = OptionType(
    "KINDS",
    "none, or a list of dream, a1111 and txt, such as dream,a1111",
    _read_metadata,
    lambda value: [",".join(value) or NONE],
)
"""Always in the order of METADATA_KINDS."""
