"""Reads the metadata segments of a JPEG file, up to its first scan.

ITU-T T.81, annex B; XMP specification, part 3.
"""

from __future__ import annotations

from typing import IO

from dream.gallery.containers.raw_metadata import RawMetadata

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_APP1, _COMMENT, _SCAN, _END = 0xE1, 0xFE, 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
_MOST_SEGMENTS = 1000
_MOST_COMMENTS = 1 << 20
"""Bytes of all comments together."""


def read_jpeg(file: IO[bytes]) -> RawMetadata:
    """The metadata of a JPEG at its beginning. The first block of a kind counts; comments are
    joined. Raises ValueError for a file that ends before its pixels, and OSError."""
    file.read(2)
    width = height = 0
    exif = xmp = comment = b""
    for _ in range(_MOST_SEGMENTS):
        marker = _next_marker(file)
        if marker in (_SCAN, _END):
            return RawMetadata(width=width, height=height, exif=exif, xmp=xmp, comment=comment)
        if marker in _BARE:
            continue
        length = int.from_bytes(file.read(2), "big") - 2
        if length < 0:
            break
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
        else:
            file.seek(length, 1)
    raise ValueError("it ends before its pixels")


def _next_marker(file: IO[bytes]) -> int:
    """The next marker's second byte. Raises ValueError where there is none."""
    first, marker = file.read(1), b"\xff"
    for _ in range(1000):
        marker = file.read(1)
        if marker != b"\xff":
            break
    if first != b"\xff" or not marker or marker in (b"\0", b"\xff"):
        raise ValueError("it ends before its pixels")
    return marker[0]
