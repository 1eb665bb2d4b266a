"""Reads the metadata chunks of a WebP file.

WebP container specification: https://developers.google.com/speed/webp/docs/riff_container
"""

from __future__ import annotations

import os
from typing import IO

from dream.gallery.containers.raw_metadata import LONGEST, RawMetadata

_MOST_CHUNKS = 10_000
_ALPHA = 0x10


def read_webp(file: IO[bytes]) -> RawMetadata:
    """The metadata of a WebP at its beginning; damaged chunks end the search. Raises ValueError if
    it has no pixels, and OSError."""
    end = file.seek(0, os.SEEK_END)
    at, width, height, alpha, has_pixels = 12, 0, 0, False, False
    blocks = {b"EXIF": b"", b"XMP ": b""}
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        if len(head) < 8 or at + 8 + length > end:
            break
        if kind in (b"VP8X", b"VP8 ", b"VP8L"):
            data = file.read(min(length, 10))
            size = _measure(kind, data)
            width, height = (width, height) if width else size
            alpha = alpha or (kind == b"VP8X" and bool(data[:1] and data[0] & _ALPHA))
        elif kind in blocks and not blocks[kind] and length <= LONGEST:
            blocks[kind] = file.read(length)
        has_pixels = has_pixels or kind in (b"VP8 ", b"VP8L", b"ANMF")
        at += 8 + length + length % 2
    if not has_pixels:
        raise ValueError("it ends before its pixels")
    return RawMetadata(
        width=width,
        height=height,
        exif=blocks[b"EXIF"],
        xmp=blocks[b"XMP "],
        has_alpha=alpha,
    )


def _measure(kind: bytes, data: bytes) -> tuple[int, int]:
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if kind == b"VP8 ":
        sides = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
        return sides[0] & 0x3FFF, sides[1] & 0x3FFF
    bits = int.from_bytes(data[1:5], "little")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
