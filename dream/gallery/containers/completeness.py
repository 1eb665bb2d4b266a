"""Tells whether an image file is there as a whole: it may still be being copied."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from dream.core.bounded_reading import open_regular
from dream.core.png_chunks import SIGNATURE

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
_MOST_BOXES = 64
"""Of an AVIF, at the top; Pillow writes three."""


def is_complete(path: Path) -> bool:
    """Whether a PNG, JPEG, WebP or AVIF that dream wrote has its end. Reads only the beginning and
    the end. Raises OSError."""
    with open_regular(path) as file:
        head = file.read(12)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_PNG_END)))
        end = file.read()
        if head.startswith(SIGNATURE):
            return end == _PNG_END
        if head.startswith(_JPEG_END[:1]):
            return end.endswith(_JPEG_END)
        if head.startswith(b"RIFF"):
            return 8 + int.from_bytes(head[4:8], "little") <= size
        return _has_all_boxes(file, size)


def _has_all_boxes(file: IO[bytes], size: int) -> bool:
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        length = int.from_bytes(file.read(4), "big")
        if length < 8:
            return False
        at += length
        if at >= size:
            break
    return at == size
