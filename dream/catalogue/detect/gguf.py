"""Reads the header of a GGUF file (llama.cpp's format) in bounded time and memory.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

Lists of words, which the files of text encoders begin with, are skipped, not built. Every number in
a hostile header is compared with a limit before anything is allocated for it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import IO, Any, NamedTuple

from dream.catalogue.detect.gguf_types import BLOCK_TYPES, BlockType

MAGIC = b"GGUF"
ARCHITECTURE = "general.architecture"
"""Metadata key of the architecture, as "flux" or "qwen3"."""

HEADER_LIMIT = 64 << 20
"""Maximum bytes of a header; 128 thousand words with their merges have 8 million."""
TENSORS = 20_000
"""Maximum tensors of one file."""
_KEYS = 20_000
"""Maximum entries of the metadata; a UNet has one for each reshaped weight."""
_STRINGS = 700_000
"""Maximum strings in the lists of the metadata; language models have half a million."""
_NAME_LIMIT = 300
"""Maximum bytes of a name; ggml allows 64, and ComfyUI-GGUF has prefixes."""
_VALUE_LIMIT = 300
"""Maximum bytes of a value that is returned; longer ones are skipped."""
_DIMENSIONS = 4
_MAX_ALIGNMENT = 1 << 20
_MAX_NUMBERS = 2**48
_BLOCK = 1 << 18
"""Bytes read at a time."""

_STRING, _LIST = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS[12] = "d"
_WIDTHS = {kind: struct.calcsize(f"<{code}") for kind, code in _SCALARS.items()}
_INTEGERS = (4, 5, 10, 11)

SHAPE_KEY = "comfy.gguf.orig_shape."
"""Prefix of the metadata keys for the true shapes of weights that were reshaped, since the types
need rows of whole blocks. https://github.com/city96/ComfyUI-GGUF"""


class GgufTensor(NamedTuple):
    """A tensor in the file."""

    type: BlockType
    shape: tuple[int, ...]
    """As in torch: the last side is contiguous in the file."""
    start: int
    """Its first byte in the file."""
    size: int
    """Bytes."""


class GgufHeader(NamedTuple):
    """Tensors by name, and those entries of the metadata that are short texts or whole numbers."""

    tensors: dict[str, GgufTensor]
    metadata: dict[str, str]
    end: int
    """The byte at which the last tensor ends."""


def parse_header(file: IO[bytes]) -> GgufHeader:
    """Parse a file from its first byte. Raises ValueError for a file that is not a GGUF file, or is
    truncated within its header; struct.error, UnicodeDecodeError and OverflowError."""
    reader = _Reader(file)
    magic, version, tensors, keys = reader.unpack("4sIQQ")
    if magic != MAGIC or version not in (2, 3):
        raise ValueError(f"GGUF version {version} is not supported")
    if tensors > TENSORS or keys > _KEYS:
        raise ValueError(f"it has more than {TENSORS:,} tensors or {_KEYS:,} entries")
    metadata: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for _ in range(keys):
        name = reader.name()
        (kind,) = reader.unpack("I")
        if name.startswith(SHAPE_KEY):
            shapes[name.removeprefix(SHAPE_KEY)] = _shape(reader, kind)
        elif (value := reader.value(kind)) is not None:
            metadata[name] = value
    rows = [_tensor_row(reader) for _ in range(tensors)]
    alignment = int(metadata.get("general.alignment", "32"))
    if not 0 < alignment <= _MAX_ALIGNMENT:
        raise ValueError("its alignment is invalid")
    start = reader.at + -reader.at % alignment
    by_name = {name: _placed(row, start, shapes.get(name)) for name, row in rows}
    return GgufHeader(
        by_name, metadata, max((t.start + t.size for t in by_name.values()), default=0)
    )


def find_number_format(tensors: Mapping[str, GgufTensor]) -> str:
    """A type that is not supported, else the quantized type of most weights; empty for neither."""
    count: Counter[str] = Counter()
    for tensor in tensors.values():
        if not tensor.type.supported:
            return tensor.type.name
        if tensor.type.numbers > 1:
            count[tensor.type.name] += tensor.size
    return count.most_common(1)[0][0] if count else ""


class _Reader:
    """Reads from a file in blocks, up to HEADER_LIMIT bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._data = b""
        self._start = 0  # of the data in the file
        self._next = 0  # in the data
        self._strings = _STRINGS

    @property
    def at(self) -> int:
        """The byte in the file that is read next."""
        return self._start + self._next

    def unpack(self, form: str) -> tuple[Any, ...]:
        """The values of a struct format, little-endian."""
        codes = struct.Struct(f"<{form}")
        self._need(codes.size)
        values = codes.unpack_from(self._data, self._next)
        self._next += codes.size
        return values

    def name(self) -> str:
        """A string that must be short."""
        (length,) = self.unpack("Q")
        if length > _NAME_LIMIT:
            raise ValueError(f"it has a name of more than {_NAME_LIMIT} bytes")
        return self._text(length)

    def value(self, kind: int) -> str | None:
        """The text of a value, or None for one that is skipped."""
        if kind == _STRING:
            (length,) = self.unpack("Q")
            if length <= _VALUE_LIMIT:
                return self._text(length)
            self._skip(length)
            return None
        if kind == _LIST:
            self._skip_list()
            return None
        (number,) = self.unpack(_SCALARS[kind])
        return str(number)

    def _skip_list(self) -> None:
        kind, count = self.unpack("IQ")
        if kind != _STRING:
            self._skip(_WIDTHS[kind] * count)
            return
        self._strings -= count
        if self._strings < 0:
            raise ValueError(f"it has more than {_STRINGS:,} strings")
        data, at, whole = self._data, self._next, len(self._data) - 8
        for _ in range(count):  # half a million times: nothing is built
            if at > whole:
                self._next = at
                self._need(8)
                data, at, whole = self._data, self._next, len(self._data) - 8
            at += 8 + int.from_bytes(data[at : at + 8], "little")
        self._next = at

    def _text(self, length: int) -> str:
        self._need(length)
        self._next += length
        return self._data[self._next - length : self._next].decode()

    def _skip(self, count: int) -> None:
        self._next += count
        if self.at > HEADER_LIMIT:
            raise ValueError(f"it has a header of more than {HEADER_LIMIT:,} bytes")

    def _need(self, count: int) -> None:
        """Have so many bytes in the data after the next."""
        if self._next + count <= len(self._data):
            return
        at = self.at
        if at + count > HEADER_LIMIT:
            raise ValueError(f"it has a header of more than {HEADER_LIMIT:,} bytes")
        self._file.seek(at)
        self._start, self._next = at, 0
        self._data = self._file.read(max(count, _BLOCK))
        if len(self._data) < count:
            raise ValueError("it is truncated")


def _shape(reader: _Reader, kind: int) -> tuple[int, ...]:
    if kind != _LIST:
        raise ValueError("a shape is not a list")
    item, count = reader.unpack("IQ")
    if item not in _INTEGERS or count > 8:
        raise ValueError("a shape is not a list of a few whole numbers")
    return tuple(reader.unpack(_SCALARS[item])[0] for _ in range(count))


def _tensor_row(reader: _Reader) -> tuple[str, tuple[BlockType, tuple[int, ...], int]]:
    name = reader.name()
    (dimensions,) = reader.unpack("I")
    if dimensions > _DIMENSIONS:
        raise ValueError(f"a tensor has more than {_DIMENSIONS} dimensions")
    sides = tuple(reversed(reader.unpack(f"{dimensions}Q")))
    number, offset = reader.unpack("IQ")
    if number not in BLOCK_TYPES:
        raise ValueError(f"a tensor has the unknown data type {number}")
    kind = BLOCK_TYPES[number]
    if prod(sides) > _MAX_NUMBERS or (sides[-1] if sides else 1) % kind.numbers:
        raise ValueError("a tensor has an invalid shape")
    return name, (kind, sides, offset)


def _placed(
    row: tuple[BlockType, tuple[int, ...], int], start: int, shape: tuple[int, ...] | None
) -> GgufTensor:
    kind, sides, offset = row
    size = prod(sides) // kind.numbers * kind.size
    if shape is not None and (min(shape, default=1) < 0 or prod(shape) != prod(sides)):
        raise ValueError("a tensor has an invalid original shape")
    return GgufTensor(kind, sides if shape is None else shape, start + offset, size)
