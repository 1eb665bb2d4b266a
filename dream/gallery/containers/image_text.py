"""Reads all text of a PNG, JPEG, WebP or AVIF file, by name, in bounded time and memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from dream.core.bounded_reading import open_regular
from dream.core.png_chunks import SIGNATURE, read_texts
from dream.gallery.containers.avif import read_avif
from dream.gallery.containers.exif import read_exif
from dream.gallery.containers.jpeg import read_jpeg
from dream.gallery.containers.raw_metadata import RawMetadata
from dream.gallery.containers.webp import read_webp

XMP = "XML:com.adobe.xmp"
"""PNG's keyword for XMP; here, of all formats."""
COMMENT = "JPEG comment"

_PNG_WITH_ALPHA = (4, 6)
"""Colour types: grey and RGB with alpha."""


@dataclass(frozen=True, kw_only=True)
class ImageText:
    """What an image file says besides its pixels."""

    format: str
    """"PNG", "JPEG", "WebP" or "AVIF"; "text" for a text file beside an image."""
    width: int = 0
    height: int = 0
    """Pixels; 0 where the file does not say."""
    size: int = 0
    """Bytes of the file."""
    has_alpha: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)
    """By name: a PNG's keyword, `EXIF` and the tag's name, XMP or COMMENT."""


def read_image_text(path: Path) -> ImageText:
    """The text of an image file. Raises OSError, and ValueError for a file of another format or
    one that ends before its pixels."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head.startswith(SIGNATURE):
            return _read_png(file, size)
        name, read = _find_format(head)
        file.seek(0)
        metadata = read(file)
    texts = read_exif(metadata.exif) if metadata.exif else {}
    if metadata.xmp:
        texts[XMP] = metadata.xmp.decode("utf-8", "replace")
    if metadata.comment:
        texts[COMMENT] = metadata.comment.decode("utf-8", "replace")
    return ImageText(
        format=name,
        width=metadata.width,
        height=metadata.height,
        size=size,
        has_alpha=metadata.has_alpha,
        texts=texts,
    )


def _find_format(head: bytes) -> tuple[str, Callable[[IO[bytes]], RawMetadata]]:
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG", read_jpeg
    if head.startswith(b"RIFF") and head[8:] == b"WEBP":
        return "WebP", read_webp
    if head[4:] in (b"ftypavif", b"ftypavis", b"ftypmif1"):
        return "AVIF", read_avif
    raise ValueError("it is not a PNG, JPEG, WebP or AVIF file")


def _read_png(file: IO[bytes], size: int) -> ImageText:
    chunks = read_texts(file)
    texts = dict(chunks.texts)
    if chunks.exif:
        texts |= {name: text for name, text in read_exif(chunks.exif).items() if name not in texts}
    return ImageText(
        format="PNG",
        width=chunks.width,
        height=chunks.height,
        size=size,
        has_alpha=chunks.colour_type in _PNG_WITH_ALPHA,
        texts=texts,
    )
