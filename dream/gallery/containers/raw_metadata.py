"""What the readers of image containers return."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 4 << 20
"""Maximum bytes of one EXIF block or XMP packet; longer ones are not read."""


@dataclass(frozen=True, kw_only=True)
class RawMetadata:
    """Blocks of metadata as they are in the file; empty where there are none."""

    width: int = 0
    height: int = 0
    exif: bytes = b""
    """With or without `Exif\\0\\0` in front."""
    xmp: bytes = b""
    comment: bytes = b""
    has_alpha: bool = False
