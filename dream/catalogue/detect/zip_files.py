"""Reads the pickle from torch's zip format in bounded time and memory.

The standard library's zipfile creates an object for each entry, and decompresses without a limit,
so a hostile file decides what it costs. Here the sizes of the directory and of the pickle are
limited; models stay far below these limits.
"""

from __future__ import annotations

import struct
import zlib
from typing import IO, NamedTuple

DIRECTORY_LIMIT = 4 << 20
"""Maximum bytes of the directory; that of SDXL has 200 thousand."""

_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\x05\x06"
_END_64 = struct.Struct("<4sQ2H2L4Q")
_END_64_MARK = b"PK\x06\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_MARK = b"PK\x06\x07"
_ENTRY = struct.Struct("<4s6H3L5H2L")
_ENTRY_MARK = b"PK\x01\x02"
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_MARK = b"PK\x03\x04"

_COMMENT = 65_535
_FULL = 0xFFFF_FFFF
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1


class BadZip(ValueError):
    """A zip that is truncated, or that torch did not write."""


class _Entry(NamedTuple):
    method: int
    packed: int
    """Bytes in the file."""
    place: int
    """Position of its local header."""


def read_pickle(file: IO[bytes], size: int, most: int) -> bytes:
    """Read the one entry `data.pkl`, at most `most` bytes, of a zip of `size` bytes.

    Stored (as torch writes) and deflated (as zip programs do) entries are supported. Raises BadZip,
    OSError.
    """
    entry = _find(_read_directory(file, size))
    file.seek(entry.place)
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(_LOCAL_MARK):
        raise BadZip("its zip directory points outside the file")
    *_, name, extra = _LOCAL.unpack(head)
    file.seek(name + extra, 1)
    if entry.method == _STORED:
        data = file.read(min(entry.packed, most + 1))
        whole = len(data) == entry.packed
    else:
        data, whole = _inflate(file, entry.packed, most)
    if len(data) > most:
        raise BadZip(f"its data.pkl is larger than {most:,} bytes")
    if not whole:
        raise BadZip("its data.pkl is truncated")
    return data


def _inflate(file: IO[bytes], packed: int, most: int) -> tuple[bytes, bool]:
    """The decompressed bytes, at most one more than `most`; and whether they are complete."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = unpacker.decompress(file.read(min(packed, most)), most + 1)
    except zlib.error as error:
        raise BadZip(f"its data.pkl cannot be unpacked: {error}") from error
    return data, unpacker.eof or len(data) > most


def _read_directory(file: IO[bytes], size: int) -> bytes:
    """The bytes of the directory, which is at the end of the file."""
    tail_at = max(0, size - _END.size - _COMMENT)
    file.seek(tail_at)
    tail = file.read(_END.size + _COMMENT)
    at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END.size:
        raise BadZip("it has no zip directory")
    *_, length, start, _ = _END.unpack_from(tail, at)
    locator = tail_at + at - _LOCATOR.size
    if _FULL in (length, start) and locator >= 0:
        length, start = _read_directory_64(file, locator)
    if length > DIRECTORY_LIMIT:
        raise BadZip(f"its zip directory is larger than {DIRECTORY_LIMIT:,} bytes")
    if start + length > size:
        raise BadZip("its zip directory is truncated")
    file.seek(start)
    return file.read(length)


def _read_directory_64(file: IO[bytes], locator: int) -> tuple[int, int]:
    """Length and start of the directory of a zip of more than 4 GB (zip64)."""
    file.seek(locator)
    entries = file.read(_LOCATOR.size)
    if len(entries) < _LOCATOR.size or not entries.startswith(_LOCATOR_MARK):
        raise BadZip("it has no zip directory")
    _, _, place, _ = _LOCATOR.unpack(entries)
    if place > locator:
        raise BadZip("its zip directory is truncated")
    file.seek(place)
    end = file.read(_END_64.size)
    if len(end) < _END_64.size or not end.startswith(_END_64_MARK):
        raise BadZip("it has no zip directory")
    *_, length, start = _END_64.unpack(end)
    return length, start


def _find(directory: bytes) -> _Entry:
    entries: list[_Entry] = []
    at = 0
    while len(entries) < 2 and directory.startswith(_ENTRY_MARK, at):
        if at + _ENTRY.size > len(directory):
            raise BadZip("its zip directory is truncated")
        row = _ENTRY.unpack_from(directory, at)
        flags, method, packed, place = row[3], row[4], row[8], row[16]
        name, extra, comment = row[10:13]
        at += _ENTRY.size
        file_name, more = directory[at : at + name], directory[at + name : at + name + extra]
        if file_name == b"data.pkl" or file_name.endswith(b"/data.pkl"):
            if flags & _ENCRYPTED or method not in (_STORED, _DEFLATED):
                raise BadZip("its data.pkl is compressed in a way that torch does not support")
            entries.append(_Entry(method, *_zip64_sizes(packed, row[9], place, more)))
        at += name + extra + comment
    if len(entries) != 1:
        raise BadZip("it is a zip without torch's data.pkl")
    return entries[0]


def _zip64_sizes(packed: int, unpacked: int, place: int, more: bytes) -> tuple[int, int]:
    """Packed size and position. If 4 bytes are too few, they are in the zip64 field, which has
    8-byte numbers in the order unpacked, packed, position, each only if needed."""
    at, numbers = 0, b""
    while at + 4 <= len(more):
        kind, length = struct.unpack_from("<2H", more, at)
        if kind == 1:
            numbers = more[at + 4 : at + 4 + length]
        at += 4 + length
    long = [n for (n,) in struct.iter_unpack("<Q", numbers[: len(numbers) // 8 * 8])]
    wanted = [value == _FULL for value in (unpacked, packed, place)]
    if sum(wanted) > len(long):
        raise BadZip("its zip directory is damaged")
    values = [long.pop(0) if short else None for short in wanted]
    return (
        packed if values[1] is None else values[1],
        place if values[2] is None else values[2],
    )
