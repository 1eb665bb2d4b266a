"""Parses a safetensors header (JSON of a fixed structure) in bounded time and memory.

A general JSON parser creates up to 30 bytes of objects for each byte of a hostile header. This one
knows the structure, reads the bytes directly, and skips what is not needed: a LoRA's metadata can
have megabytes about its training images.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from dream.catalogue.detect.four_bits import STATE
from dream.catalogue.detect.tensors import TensorHeader, parse_tensor

HEADER_LIMIT = 8 << 20
"""Maximum bytes. safetensors allows 100 million; FLUX.1 has 90 thousand."""
TENSORS = 20_000
"""Maximum tensors of one file; SDXL has 2,500."""
_ENTRY_LIMIT = 1 << 16
"""Maximum bytes of a metadata key and value; longer ones are skipped."""
_METADATA_LIMIT = 4 << 20
"""Maximum bytes of all metadata together."""
_ENTRY_OVERHEAD = 500
"""Overhead of a metadata entry in memory, in bytes."""
_OWN_PREFIX = b"dream."
"""Prefix of dream's own metadata keys: configurations, which may be longer."""

_STRING = rb'"([^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+)"'
_SPACE = rb"[ \t\r\n]*+"
_KEY = re.compile(_SPACE + _STRING + _SPACE + rb":" + _SPACE + rb"(\{)?")
_METADATA_ENTRY = re.compile(
    _SPACE + _STRING + _SPACE + rb":" + _SPACE + _STRING + _SPACE + rb"([,}])"
)
_ROW = re.compile(rb"[^{}]{0,4000}+\}")
_COMMON_ROW = re.compile(
    rb'"([^"\\\x00-\x1f]{1,400}+)":\{("dtype":"(\w{1,20})","shape":\[([\d,]{0,400})\]),'
    rb'"data_offsets":\[(\d{1,18}),(\d{1,18})\]\}([,}])'
)
"""A tensor as safetensors itself writes it, without spaces, and what follows it."""
_METADATA_KEY = b"__metadata__"
_NEXT = re.compile(_SPACE + rb"([,}])")
_EMPTY = re.compile(_SPACE + rb"\}")


class SafetensorsHeader(NamedTuple):
    """Tensors by name, the content of `__metadata__`, and the byte after the header at which the
    last tensor ends."""

    tensors: dict[str, TensorHeader]
    metadata: dict[str, str]
    end: int
    places: dict[str, tuple[int, int]]
    """Where the texts beside bitsandbytes' weights are, counted from the end of the header."""


def parse_header(data: bytes) -> SafetensorsHeader:
    """Parse the bytes of the JSON. Raises ValueError, TypeError, KeyError, OverflowError."""
    tensors: dict[str, TensorHeader] = {}
    metadata: dict[str, str] = {}
    places: dict[str, tuple[int, int]] = {}
    known: dict[bytes, TensorHeader] = {}  # many tensors have the same type and shape
    last = 0
    at = data.index(b"{") + 1
    more = not _EMPTY.match(data, at)
    while more:
        row = _COMMON_ROW.match(data, at)
        if row is not None and row[1] != _METADATA_KEY:
            name, start, end, at = row[1].decode(), int(row[5]), int(row[6]), row.end() - 1
            if row[2] not in known:
                known[row[2]] = _common_tensor(row)
            tensors[name] = known[row[2]]
        else:
            match = _KEY.match(data, at)
            if match is None or len(match[1]) > _ENTRY_LIMIT:
                raise ValueError("its header is not safetensors JSON")
            name, start, end = "", 0, 0
            if match[1] == _METADATA_KEY:
                metadata, at = _metadata(data, match)
            elif match[2] is None:
                raise ValueError("its header is not safetensors JSON")
            else:
                name = _text(match[1])
                tensors[name], (start, end), at = _row(data, match.end())
        if STATE in name:
            places[name] = start, end
        last = max(last, end)
        if len(tensors) > TENSORS:
            raise ValueError(f"it has more than {TENSORS:,} tensors")
        following = _NEXT.match(data, at)
        if following is None:
            raise ValueError("its header is not safetensors JSON")
        at, more = following.end(), following[1] == b","
    if data[at:].strip(b" \t\r\n\0"):
        raise ValueError("its header is not safetensors JSON")
    return SafetensorsHeader(tensors, metadata, last, places)


def _common_tensor(row: re.Match[bytes]) -> TensorHeader:
    return parse_tensor(row[3].decode(), map(int, filter(None, row[4].split(b","))))


def _row(data: bytes, at: int) -> tuple[TensorHeader, tuple[int, int], int]:
    """A tensor in another spelling, the bytes at which its data begins and ends, and where its JSON
    ends."""
    match = _ROW.match(data, at)
    if match is None:
        raise ValueError("its header is not safetensors JSON")
    row = json.loads((b"{" + match[0]).decode())  # as bytes, their encoding is guessed each time
    start, end = row["data_offsets"]
    return parse_tensor(row["dtype"], row["shape"]), (int(start), int(end)), match.end()


def _metadata(data: bytes, key: re.Match[bytes]) -> tuple[dict[str, str], int]:
    """The metadata without skipped entries, and the position at which it ends."""
    at = key.end()
    if key[2] is None:
        if data[at : at + 4] == b"null":
            return {}, at + 4
        raise ValueError("its metadata is not a table")
    if empty := _EMPTY.match(data, at):
        return {}, empty.end()
    entries: dict[str, str] = {}
    room = _METADATA_LIMIT
    while match := _METADATA_ENTRY.match(data, at):
        length = len(match[1]) + len(match[2])
        short = length < _ENTRY_LIMIT or match[1].startswith(_OWN_PREFIX)
        if short and length + _ENTRY_OVERHEAD < room:
            room -= length + _ENTRY_OVERHEAD
            entries[_text(match[1])] = _text(match[2])
        at = match.end()
        if match[3] == b"}":
            return entries, at
    raise ValueError("its metadata has values that are not text")


def _text(raw: bytes) -> str:
    text: str = json.loads(b'"' + raw + b'"') if b"\\" in raw else raw.decode()
    return text
