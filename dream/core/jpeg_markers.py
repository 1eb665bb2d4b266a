"""Finds the segments of a JPEG file before its pixels, in bounded time.

ITU-T T.81, annex B. What is between segments is skipped as Pillow does, which takes a second for a
few megabytes of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

START = b"\xff\xd8\xff"
SCAN, END = 0xDA, 0xD9

_BARE = frozenset({0x01, *range(0xD0, 0xDA), *range(0xF0, 0xFE)})
"""Markers without a length, and those reserved for extensions, which Pillow takes for such."""
_MOST_SEGMENTS = 10_000
"""A colour profile has 255 at most, extended XMP a few hundred."""
_MOST_BETWEEN = 1 << 16
"""Fill bytes, and others that belong to no segment, of a whole file; programs write none or one."""


def find_segments(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """The second byte of each marker and the bytes of its data, at which the file is then; from the
    beginning of the file up to its first scan or its end. Raises ValueError for more segments, or
    more bytes between them, than any program writes, and OSError."""
    file.seek(2)
    count = between = 0
    byte = file.read(1)
    while byte:
        if byte != b"\xff":
            between, byte = between + 1, file.read(1)
        else:
            byte = file.read(1)
            if byte in (b"\xff", b"\0"):
                between += 1
            elif byte:
                count += 1
                marker = byte[0]
                bare = marker in _BARE
                length = 0 if bare else max(0, int.from_bytes(file.read(2), "big") - 2)
                after = file.tell() + length
                yield marker, length
                if marker == SCAN:
                    return
                file.seek(after)
                byte = file.read(1)
        if between > _MOST_BETWEEN or count > _MOST_SEGMENTS:
            raise ValueError("it has too much before its pixels")
