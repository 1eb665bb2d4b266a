"""Reads the metadata segments of a JPEG file, up to its first scan.

ITU-T T.81, annex B; XMP specification, part 3.
"""

from __future__ import annotations

from typing import IO

from dream.core.jpeg_markers import END, SCAN, find_segments
from dream.gallery.containers.raw_metadata import RawMetadata

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_APP1, _COMMENT = 0xE1, 0xFE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MOST_COMMENTS = 1 << 20
"""Bytes of all comments together."""


def read_jpeg(file: IO[bytes]) -> RawMetadata:
    """The metadata of a JPEG at its beginning. The first block of a kind counts; comments are
    joined. Raises ValueError for a file that ends before its pixels, and OSError."""
    width = height = 0
    exif = xmp = comment = b""
    for marker, length in find_segments(file):
        if marker in (SCAN, END):
            return RawMetadata(width=width, height=height, exif=exif, xmp=xmp, comment=comment)
        if marker in (_APP1, _COMMENT) or marker in _FRAMES:
            data = file.read(length)
            if marker in _FRAMES:
                height, width = int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big")
            elif marker == _COMMENT:
                comment += data[: max(0, _MOST_COMMENTS - len(comment))]
            elif data.startswith(_EXIF):
                exif = exif or data
            elif data.startswith(_XMP):
                xmp = xmp or data[len(_XMP) :]
    raise ValueError("it ends before its pixels")
