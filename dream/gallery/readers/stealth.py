"""Text in the lowest bits of the pixels, as NovelAI and an extension of AUTOMATIC1111 hide it.

Column by column: a mark of 15 letters, the number of bits in 32 bits, the text, in `comp` packed by
gzip. In alpha, or in red, green and blue in turn.
https://github.com/ashen-sensored/sd_webui_stealth_pnginfo
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from dream.gallery.containers.image_text import ImageText
from dream.gallery.readers.a1111 import parse_parameters
from dream.gallery.readers.novelai import read_novelai_json
from dream.gallery.readers.record import ForeignRecord, parse_table

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS = 32_000_000
"""Larger images are not decoded for this."""
_LONGEST = 1 << 20
"""Maximum bytes of the text, packed or not."""
_MARK = 15
_MARKS = {
    "A": (b"stealth_pnginfo", b"stealth_pngcomp"),
    "RGB": (b"stealth_rgbinfo", b"stealth_rgbcomp"),
}
_BITS = bytes(48 + (value & 1) for value in range(256))


def read_stealth(path: Path, image: ImageText) -> ForeignRecord | None:
    """The record in the pixels of an image with alpha, which are decoded for it. Images of more
    than 32 million pixels and damaged ones have none; raises nothing."""
    if not image.has_alpha or not 0 < image.width * image.height <= MOST_PIXELS:
        return None
    text = read_hidden_text(path)
    return parse_parameters(text) or read_novelai_json(parse_table(text)) if text else None


def read_hidden_text(path: Path) -> str:
    """The text itself; empty if there is none."""
    pixels = _read_columns(path)
    if pixels is None:
        return ""
    for bands, marks in _MARKS.items():
        data = pixels.getchannel("A") if bands == "A" else pixels.convert("RGB")
        if text := _decode(data.tobytes(), marks):
            return text
    return ""


def _read_columns(path: Path) -> Image.Image | None:
    """The image in RGBA, with rows and columns exchanged; None if it is too large or damaged."""
    from PIL import Image as Images  # few images have such text

    from dream.core.png_chunks import remove_bad_text

    try:
        with (
            path.open("rb") as file,
            Images.open(remove_bad_text(file)[0], formats=("PNG", "WEBP")) as image,
        ):
            if image.width * image.height > MOST_PIXELS:
                return None
            return image.convert("RGBA").transpose(Images.Transpose.TRANSPOSE)
    except Exception:  # decoders raise errors of every kind on damaged data
        return None


def _decode(data: bytes, marks: tuple[bytes, bytes]) -> str:
    mark = _take(data, 0, _MARK)
    if mark not in marks:
        return ""
    length = int.from_bytes(_take(data, 8 * _MARK, 4), "big") // 8
    if not 0 < length <= _LONGEST:
        return ""
    packed = _take(data, 8 * (_MARK + 4), length)
    try:
        if mark == marks[1]:
            packed = zlib.decompressobj(wbits=31).decompress(packed, _LONGEST)
    except zlib.error:
        return ""
    return packed.decode("utf-8", "replace")


def _take(data: bytes, start: int, count: int) -> bytes:
    """So many bytes out of the lowest bits from a pixel value on."""
    bits = data[start : start + 8 * count].translate(_BITS)
    return int(bits, 2).to_bytes(-(-len(bits) // 8), "big") if len(bits) == 8 * count else b""
