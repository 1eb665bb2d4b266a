"""Maps a weight file into memory: read on access, and not kept twice."""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path

import torch
from safetensors import safe_open

from dream.catalogue.detect.gguf import parse_header as parse_gguf
from dream.engine.loading.formats.gguf_blocks import encode

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class MappedFile:
    """The tensors of a file, on the CPU, in the file's dtypes. What is written to them stays in
    memory, and never reaches the file."""

    tensors: Mapping[str, torch.Tensor]
    pages: mmap.mmap | None = None
    """The mapping behind the tensors, if it is ours; they keep it open."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """safetensors' `__metadata__`."""

    def release_pages(self) -> None:
        """Let the system free the pages that were read; another access reads them again."""
        self._advise("MADV_DONTNEED")

    def read_ahead(self) -> None:
        """Let the system read the file, beside this process."""
        self._advise("MADV_WILLNEED")

    def contains(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor's numbers are in the mapping, not in memory of their own."""
        first, last = self._addresses
        return first <= tensor.data_ptr() < last

    @cached_property
    def _addresses(self) -> tuple[int, int]:
        if self.pages is None:
            return 0, 0
        first = torch.frombuffer(self.pages, dtype=torch.uint8).data_ptr()
        return first, first + len(self.pages)

    def _advise(self, advice: str) -> None:
        if self.pages is not None and hasattr(mmap, advice):
            self.pages.madvise(getattr(mmap, advice))


def open_mapped(path: Path) -> MappedFile:
    """Map a safetensors file. Raises SafetensorError, OSError, and LookupError for dtypes that
    torch does not have."""
    with safe_open(path, framework="pt"):  # checks the whole header
        pass
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        rows = json.loads(file.read(length))
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    metadata = rows.pop("__metadata__", None) or {}
    tensors = {
        name: _tensor(pages, row["dtype"], row["shape"], 8 + length + row["data_offsets"][0])
        for name, row in rows.items()
    }
    return MappedFile(tensors, pages, metadata)


def open_gguf(path: Path) -> MappedFile:
    """Map a GGUF file, its quantized weights encoded (see `EncodedTensor`). Raises OSError, and
    LookupError, ValueError and RuntimeError for a damaged file."""
    with path.open("rb") as file:
        header = parse_gguf(file)
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    tensors: dict[str, torch.Tensor] = {}
    for name, (kind, shape, start, size) in header.tensors.items():
        if kind.numbers == 1:
            tensors[name] = _tensor(pages, kind.name, list(shape), start)
        else:
            tensors[name] = encode(_tensor(pages, "U8", [size], start), kind, shape)
    return MappedFile(tensors, pages, header.metadata)


def _tensor(pages: mmap.mmap, kind: str, shape: list[int], start: int) -> torch.Tensor:
    dtype = _DTYPES[kind]
    if not (count := prod(shape)):
        return torch.empty(shape, dtype=dtype)
    if start % dtype.itemsize:  # files from before safetensors aligned its headers
        raw = torch.frombuffer(pages, dtype=torch.uint8, count=count * dtype.itemsize, offset=start)
        return raw.clone().view(dtype).view(shape)
    return torch.frombuffer(pages, dtype=dtype, count=count, offset=start).view(shape)
