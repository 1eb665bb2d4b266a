"""Reads the text tags of an EXIF block.

CIPA DC-008 (Exif 2.32), over TIFF 6.0. Only text is read, from the first directory and the Exif
directory: programs put UserComment into either.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

_NAMES = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x927C: "MakerNote",
    0x9286: "UserComment",
    0x9C9C: "XPComment",
}
_EXIF_DIRECTORY = 0x8769
_TEXT_TYPES = (1, 2, 7, 129)
"""BYTE, ASCII, UNDEFINED, and Exif 3's UTF-8."""
_MOST_TAGS = 500


def read_exif(data: bytes) -> dict[str, str]:
    """The text of the known tags, by names such as `EXIF UserComment`. Damaged blocks have none;
    raises nothing."""
    data = data.removeprefix(b"Exif\0\0")
    order = {b"II": "little", b"MM": "big"}.get(data[:2])
    if order is None:
        return {}
    texts: dict[str, str] = {}
    directories = [_number(data, 4, 4, order)]
    for _ in range(2):
        if not directories:
            break
        for tag, kind, value in _tags(data, directories.pop(), order):
            if tag == _EXIF_DIRECTORY:
                directories.append(
                    int.from_bytes(value[:4], "little" if order == "little" else "big")
                )
            elif tag in _NAMES and kind in _TEXT_TYPES:
                text = _decode(tag, value)
                if text:
                    texts.setdefault(f"EXIF {_NAMES[tag]}", text)
    return texts


def _tags(data: bytes, at: int, order: str) -> Iterator[tuple[int, int, bytes]]:
    """Tag, type and bytes of each entry of a directory."""
    if not 8 <= at < len(data):
        return
    for number in range(min(_number(data, at, 2, order), _MOST_TAGS)):
        entry = at + 2 + 12 * number
        if entry + 12 > len(data):
            return
        tag, kind = _number(data, entry, 2, order), _number(data, entry + 2, 2, order)
        count = _number(data, entry + 4, 4, order)
        if kind in _TEXT_TYPES:
            start = entry + 8 if count <= 4 else _number(data, entry + 8, 4, order)
            yield tag, kind, data[start : start + count]
        elif tag == _EXIF_DIRECTORY:
            yield tag, kind, data[entry + 8 : entry + 12]


def _number(data: bytes, at: int, size: int, order: str) -> int:
    return int.from_bytes(data[at : at + size], "little" if order == "little" else "big")


def _decode(tag: int, value: bytes) -> str:
    if _NAMES[tag] == "XPComment":
        return value.decode("utf-16-le", "replace").rstrip("\0")
    if _NAMES[tag] == "UserComment":
        return decode_user_comment(value)
    return value.decode("utf-8", "replace").rstrip("\0")


def decode_user_comment(value: bytes) -> str:
    """The text of a UserComment: the eight bytes that name its encoding, then the text. Programs
    also write UTF-8 marked as ASCII, and text without those bytes."""
    head, text = value[:8], value[8:]
    if head == b"UNICODE\0":
        return _decode_utf16(text).rstrip("\0")
    if head in (b"ASCII\0\0\0", bytes(8), b"JIS\0\0\0\0\0"):
        return text.decode("utf-8", "replace").rstrip("\0")
    return value.decode("utf-8", "replace").rstrip("\0")


def _decode_utf16(text: bytes) -> str:
    """UTF-16 in the order that its mark or, without one, its zero bytes show; else big-endian, as
    AUTOMATIC1111 writes it."""
    if text.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        return text.decode("utf-16", "replace")
    little = text[1::2].count(0) > text[0::2].count(0)
    return text.decode("utf-16-le" if little else "utf-16-be", "replace")
