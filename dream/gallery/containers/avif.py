"""Reads the metadata items of an AVIF file.

ISO/IEC 14496-12 (boxes) and 23008-12 (HEIF items).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO

from dream.gallery.containers.raw_metadata import LONGEST, RawMetadata

_MOST_BOXES = 1000
_MOST_ITEMS = 1000
_LARGEST_META = 4 << 20


def read_avif(file: IO[bytes]) -> RawMetadata:
    """The metadata of an AVIF at its beginning. Raises ValueError for a file without a list of
    items, and OSError."""
    end = file.seek(0, os.SEEK_END)
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        body = 8
        if length == 1:
            length, body = int.from_bytes(head[8:16], "big"), 16
        length = length or end - at
        if len(head) < 8 or length < body or at + length > end:
            break
        if kind == b"meta" and length <= _LARGEST_META:
            file.seek(at + body)
            return _read_items(file, file.read(length - body)[4:])
        at += length
    raise ValueError("it ends before its pixels")


def _read_items(file: IO[bytes], meta: bytes) -> RawMetadata:
    boxes = {kind: body for kind, body in reversed([*_boxes(meta)])}
    kinds = dict(_kinds(boxes.get(b"iinf", b"")))
    places = dict(_places(boxes.get(b"iloc", b"")))
    items = {b"Exif": b"", b"mime": b""}
    for item, kind in kinds.items():
        if kind in items and not items[kind] and item in places:
            items[kind] = _item(file, boxes.get(b"idat", b""), *places[item])
    exif = items[b"Exif"]
    exif = exif[4 + int.from_bytes(exif[:4], "big") :]
    width = height = 0
    properties = dict(reversed([*_boxes(boxes.get(b"iprp", b""))])).get(b"ipco", b"")
    for kind, body in _boxes(properties):
        if kind == b"ispe" and not width:
            width, height = int.from_bytes(body[4:8], "big"), int.from_bytes(body[8:12], "big")
    return RawMetadata(width=width, height=height, exif=exif, xmp=items[b"mime"])


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for _ in range(_MOST_BOXES):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if length < 8 or at + length > len(data):
            return
        yield kind, data[at + 8 : at + length]
        at += length


def _kinds(iinf: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind of each item, by its number; of items of other MIME types, none."""
    for kind, body in _boxes(iinf[6:] if iinf[:1] == b"\0" else iinf[8:]):
        if kind != b"infe" or body[:1] not in (b"\2", b"\3"):
            continue
        wide = 2 if body[0] == 2 else 4
        item, what = int.from_bytes(body[4 : 4 + wide], "big"), body[6 + wide : 10 + wide]
        if what != b"mime" or b"application/rdf+xml" in body:
            yield item, what


def _places(iloc: bytes) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Construction method, offset and length of each item's first extent, by its number."""
    if len(iloc) < 8 or iloc[0] > 2:
        return
    version = iloc[0]
    offset_size, length_size = iloc[4] >> 4, iloc[4] & 15
    base_size, index_size = iloc[5] >> 4, iloc[5] & 15 if version else 0
    wide = 4 if version == 2 else 2
    at = 6

    def take(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(iloc[at - size : at], "big")

    for _ in range(min(take(wide), _MOST_ITEMS)):
        item = take(wide)
        method = take(2) & 15 if version else 0
        take(2)  # data reference
        base = take(base_size)
        for number in range(min(take(2), _MOST_ITEMS)):
            take(index_size)
            offset, length = base + take(offset_size), take(length_size)
            if number == 0:
                yield item, (method, offset, length)
        if at > len(iloc):
            return


def _item(file: IO[bytes], idat: bytes, method: int, offset: int, length: int) -> bytes:
    if length > LONGEST:
        return b""
    if method == 1:
        return idat[offset : offset + length]
    if method != 0 or offset > file.seek(0, os.SEEK_END):
        return b""
    file.seek(offset)
    return file.read(length)
