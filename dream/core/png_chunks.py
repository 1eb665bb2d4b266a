"""Reads a PNG's chunks without decoding its pixels.

Pillow reads text behind the pixels only by decoding them, and rejects an image whose text is too
long. This module reads text wherever it is, in bounded time and memory, and an image's text never
prevents reading its pixels.

PNG, third edition: https://www.w3.org/TR/png-3/#11textinfo
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"

LONGEST_TEXT = 4 << 20
"""Maximum bytes of a text chunk, decompressed."""
ALL_TEXT = 16 << 20
"""Maximum bytes of all text of a file."""

_PILLOW_LIMIT = 1 << 20
"""Bytes of compressed text, decompressed, from which Pillow rejects the image."""
_MOST_CHUNKS = 100_000
"""Maximum chunks of a file, to bound the time. Ours have one for each 64 KiB."""
_MOST_TEXTS = 1000
"""Maximum text chunks of a file; programs write a handful."""
_TEXT = (b"tEXt", b"zTXt", b"iTXt")


class Chunk(NamedTuple):
    """The position of a chunk in the file."""

    kind: bytes
    start: int
    """Offset of its data; eight bytes of length and kind precede it, four of checksum follow."""
    length: int
    """Bytes of data."""


@dataclass(frozen=True)
class Texts:
    """A PNG's text."""

    texts: dict[str, str] = field(default_factory=dict)
    """By keyword; the first chunk of a keyword counts."""
    too_long: tuple[str, ...] = ()
    """The keywords of texts over the limits, which were not read."""
    width: int = 0
    height: int = 0
    """Pixels."""
    colour_type: int = 0
    """As in IHDR: 4 and 6 have alpha."""
    exif: bytes = b""
    """The data of the chunk eXIf, if it has at most LONGEST_TEXT bytes."""


def read_chunk_headers(file: IO[bytes]) -> Iterator[Chunk]:
    """The chunks of a PNG in order, up to its end or to where it is truncated. Raises ValueError if
    it is not a PNG, and OSError."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise ValueError("no PNG signature")
    at = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or at + 12 + length > size:
            return
        yield Chunk(kind, at + 8, length)
        if kind == b"IEND":
            return
        at += 12 + length


def read_texts(file: IO[bytes]) -> Texts:
    """The text of a PNG, before and behind its pixels; damaged chunks are skipped.

    Raises ValueError if it is not a PNG or ends before its pixels begin, and OSError.
    """
    texts: dict[str, str] = {}
    too_long: list[str] = []
    room = ALL_TEXT
    begun, count = False, 0
    head = exif = b""
    for chunk in read_chunk_headers(file):
        begun = begun or chunk.kind in (b"IDAT", b"IEND")
        if chunk.kind == b"IHDR" and not head:
            head = file.read(min(chunk.length, 13))
        elif chunk.kind == b"eXIf" and not exif and chunk.length <= LONGEST_TEXT:
            exif = file.read(chunk.length)
        if chunk.kind not in _TEXT or count == _MOST_TEXTS:
            continue
        count += 1
        decoded = _read_text(file, chunk, min(room, LONGEST_TEXT))
        if decoded is None:
            continue
        key, text = decoded
        if text is None:
            too_long.append(key)
        elif key not in texts:
            room -= len(text)
            texts[key] = text
    if not begun:
        # A file that is truncated inside its pixels still has all text before them.
        begun = _pixels_begin(file)
    if not begun:
        raise ValueError("it ends before its pixels")
    return Texts(
        texts,
        tuple(dict.fromkeys(too_long)),
        width=int.from_bytes(head[:4], "big"),
        height=int.from_bytes(head[4:8], "big"),
        colour_type=head[9] if len(head) > 9 else 0,
        exif=exif,
    )


def remove_bad_text(file: IO[bytes]) -> tuple[IO[bytes], bool]:
    """The file for Pillow to open, and whether text was removed that Pillow would reject: over its
    limits, or damaged.

    If it is not a PNG, or has no such text, it is the same file, at its beginning. Raises OSError.
    """
    bad: list[Chunk] = []
    room, count = ALL_TEXT, 0
    try:
        for chunk in read_chunk_headers(file):
            if chunk.kind in _TEXT and count == _MOST_TEXTS:
                bad.append(chunk)
            elif chunk.kind in _TEXT:
                count += 1
                limit = LONGEST_TEXT if chunk.kind == b"tEXt" else _PILLOW_LIMIT - 1
                read = _read_text(file, chunk, min(room, limit))
                if read is None or read[1] is None:
                    bad.append(chunk)
                else:
                    room -= len(read[1])
    except ValueError:
        bad.clear()
    file.seek(0)
    if not bad:
        return file, False
    cleaned, at = io.BytesIO(), 0
    for chunk in bad:
        _copy(file, cleaned, at, chunk.start - 8)
        at = chunk.start + chunk.length + 4
    _copy(file, cleaned, at, file.seek(0, os.SEEK_END))
    cleaned.seek(0)
    return cleaned, True


def _copy(source: IO[bytes], target: IO[bytes], start: int, end: int) -> None:
    source.seek(start)
    target.write(source.read(max(0, end - start)))


def _pixels_begin(file: IO[bytes]) -> bool:
    """Whether the truncated chunk has pixels."""
    at = len(SIGNATURE)
    for chunk in read_chunk_headers(file):
        at = chunk.start + chunk.length + 4
    file.seek(at + 4)
    return at > len(SIGNATURE) and file.read(4) == b"IDAT"


def _read_text(file: IO[bytes], chunk: Chunk, limit: int) -> tuple[str, str | None] | None:
    """Keyword and text of a chunk; the text is None if it is over the limit in bytes, all is None
    if the chunk is damaged."""
    file.seek(chunk.start)
    if chunk.length > LONGEST_TEXT:
        begun, mark, _ = file.read(80).partition(b"\0")
        return (begun.decode("latin-1"), None) if mark else None
    data = file.read(chunk.length)
    if zlib.crc32(data, zlib.crc32(chunk.kind)) != int.from_bytes(file.read(4), "big"):
        return None
    keyword, mark, rest = data.partition(b"\0")
    if not mark or not 0 < len(keyword) < 80:
        return None
    key = keyword.decode("latin-1")
    try:
        text, encoding = _text_of(chunk.kind, rest, limit)
    except (zlib.error, IndexError):
        return None
    return key, text if text is None else text.decode(encoding, "replace")


def _text_of(kind: bytes, rest: bytes, limit: int) -> tuple[bytes | None, str]:
    """The text behind the keyword, and its encoding; None if it is longer than the limit."""
    if kind == b"tEXt":
        return (rest if len(rest) <= limit else None), "latin-1"
    if kind == b"zTXt":
        return _inflated(rest[1:], limit), "latin-1"
    compressed = rest[0]
    _language, _, rest = rest[2:].partition(b"\0")
    _translated, _, text = rest.partition(b"\0")
    if compressed:
        return _inflated(text, limit), "utf-8"
    return (text if len(text) <= limit else None), "utf-8"


def _inflated(data: bytes, limit: int) -> bytes | None:
    """Raises zlib.error."""
    text = zlib.decompressobj().decompress(data, limit + 1)
    return text if len(text) <= limit else None
