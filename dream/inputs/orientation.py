"""Reads an image's EXIF or XMP orientation, wherever the file has it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image, Transpose

_MAX_CHUNKS = 1 << 18
"""Maximum chunks of a PNG that are searched for an orientation after its pixels."""
_MAX_CHUNK_BYTES = 1 << 20
"""Maximum bytes of such a chunk; EXIF itself has 64 KiB at most."""
_TEXT_KEYWORDS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
"""Keywords of the text chunks that can hold an orientation: ImageMagick's, and XMP's."""


def read_orientation(image: Image) -> Transpose | None:
    """The argument of `Image.transpose` that turns an opened image upright; None if it is upright.
    No pixel is decoded, unlike by `getexif` of a PNG, which reads to the end of the file."""
    from PIL import Image as Images

    if image.format == "TIFF":  # Pillow turns these itself
        return None
    turns = Images.Transpose
    by_orientation = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }
    number = _exif_orientation(image)
    if number is None and image.format == "PNG" and (late := _image_of_late_chunks(image)):
        number = _exif_orientation(late)
    return None if number is None else by_orientation.get(number)


def measure_upright(image: Image) -> tuple[int, int]:
    """Width and height of an opened image after it is turned upright."""
    from PIL.Image import Transpose as turns

    width, height = image.size
    turned = (turns.TRANSPOSE, turns.ROTATE_270, turns.TRANSVERSE, turns.ROTATE_90)
    return (height, width) if read_orientation(image) in turned else (width, height)


def _exif_orientation(image: Image) -> int | None:
    """The EXIF orientation, 1 to 8; None if there is none, or the EXIF data is damaged."""
    from PIL import Image as Images
    from PIL.ExifTags import Base

    try:
        number = Images.Image.getexif(image).get(Base.Orientation)
    except Exception:  # decoders raise errors of every kind
        return None
    return number if isinstance(number, int) else None


def _image_of_late_chunks(image: Image) -> Image | None:
    """A PNG without pixels, made of this one's chunks after its pixels that can have an orientation
    (PNG specification, third edition, 5.6: eXIf and text may be anywhere); None if there are
    none."""
    from PIL import Image as Images

    file = getattr(image, "fp", None)
    if file is None:
        return None
    before = file.tell()
    try:
        chunks = list(_late_chunks(file))
    finally:
        file.seek(before)
    if len(chunks) < 2:  # only IHDR
        return None
    end = b"\0\0\0\0IEND\xaeB`\x82"
    head = b"\x89PNG\r\n\x1a\n"
    with suppress(Exception):  # damaged text is ignored
        return Images.open(io.BytesIO(head + b"".join(chunks) + end), formats=["PNG"])
    return None


def _late_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The IHDR chunk of a PNG, and the chunks after its pixels that can have an orientation."""
    file.seek(8)
    pixels = False
    for _ in range(_MAX_CHUNKS):
        start = file.read(8)
        if len(start) < 8 or start[4:] == b"IEND":
            return
        length, kind = struct.unpack(">I4s", start)
        pixels = pixels or kind == b"IDAT"
        wanted = kind == b"IHDR" or (pixels and kind in (b"eXIf", b"iTXt", b"zTXt", b"tEXt"))
        if not wanted or length > _MAX_CHUNK_BYTES:
            file.seek(length + 4, io.SEEK_CUR)
            continue
        data = file.read(length + 4)
        if kind in (b"IHDR", b"eXIf") or data.startswith(_TEXT_KEYWORDS):
            yield start + data
