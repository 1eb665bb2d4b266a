"""Reads the header of a weights file: tensor names, shapes and data types, and metadata."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from dream.catalogue.detect import gguf
from dream.catalogue.detect.four_bits import read_states
from dream.catalogue.detect.gguf_names import rename
from dream.catalogue.detect.number_formats import merge_scales
from dream.catalogue.detect.pickles import PickleScan, read_legacy, read_zip
from dream.catalogue.detect.safetensors_header import HEADER_LIMIT, parse_header
from dream.catalogue.detect.tensors import TensorHeader
from dream.catalogue.detect.zip_files import BadZip
from dream.core.bounded_reading import open_regular
from dream.core.errors import ModelError

__all__ = ["Header", "TensorHeader", "read_header"]

_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""The first bytes of files of torch before 1.6: torch's magic number, pickled."""

_NOT_WEIGHTS = (
    (b"<", "is a web page, not a model", "the download may need a login; download it again"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself", "run git lfs pull"),
    (b"\x1f\x8b", "is compressed", "unpack it first"),
    (b"7z\xbc\xaf", "is compressed", "unpack it first"),
    (b"Rar!", "is compressed", "unpack it first"),
)
"""First bytes of files that are often saved under a model's name; the message; the hint."""

_AGAIN = "copy or download it again"


@dataclass(frozen=True, kw_only=True)
class Header:
    """The header of a weights file."""

    path: Path
    format: str
    """"safetensors", "gguf", "zip" (torch's pickle today) or "legacy" (torch's before 1.6)."""
    tensors: Mapping[str, TensorHeader]
    """Logical: a quantized weight with its scales is one row, of the weight's own shape. Text
    encoders in GGUF files have transformers' names."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """safetensors' `__metadata__`; of a GGUF file, the entries that are short."""
    number_format: str = ""
    """Of quantized weights, see `number_formats.LogicalTensors`; of a GGUF file the data type of
    most of its quantized weights, as "Q4_K"; else empty."""
    names: frozenset[str] = frozenset()
    """For a pickle: the keys of the outermost dictionary."""
    code: tuple[str, ...] = ()
    """For a pickle: the functions and classes it would use that a weights file does not need."""


def read_header(path: Path) -> Header:
    """Read the header of a .safetensors, .gguf, .ckpt, .pt, .pth or .bin file; the format is
    detected from the content. Takes at most 0.2 s of CPU time and 64 MiB of memory, whatever the
    file contains.

    A pickle is interpreted with stubs for everything it names; nothing is imported and nothing
    runs. Raises ModelError for a file that is truncated, not a weights file, or not a regular file.
    """
    try:
        return _read(path)
    except ModelError:
        raise
    except BadZip as error:
        raise ModelError(f"{path} is truncated, or not a weights file: {error}", _AGAIN) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (Exception, RecursionError) as error:  # damaged bytes can raise anything
        raise ModelError(f"{path} cannot be read: it is damaged", _AGAIN) from error


def _read(path: Path) -> Header:
    with open_regular(path) as file:
        start = file.read(64)
        size = file.seek(0, 2)
    if not start:
        raise ModelError(f"{path} is empty", _AGAIN)
    if start[8:].lstrip()[:1] == b"{":
        return _read_safetensors(path, size)
    if start.startswith(b"PK\x03\x04"):
        return _read_pickle(path, size, "zip", read_zip(path, size))
    if start.startswith(_LEGACY):
        return _read_pickle(path, size, "legacy", read_legacy(path))
    if start.startswith(gguf.MAGIC):
        return _read_gguf(path, size)
    for first, what, hint in _NOT_WEIGHTS:  # last: a safetensors length may begin like one of them
        if start.lstrip().startswith(first):
            raise ModelError(f"{path} {what}", hint)
    if start[0] == 0x80:
        raise ModelError(
            f"{path} is a pickle that torch did not write, which is not supported",
            "use a .safetensors version",
        )
    raise ModelError(f"{path} is not a weights file (safetensors or torch)", _AGAIN)


def _read_safetensors(path: Path, size: int) -> Header:
    """The format is: 8 bytes, little-endian length of the JSON; the JSON; the weights."""
    with open_regular(path) as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(HEADER_LIMIT, size):
            if HEADER_LIMIT < length < size:
                raise ModelError(f"{path} has a header of more than {HEADER_LIMIT:,} bytes")
            raise ModelError(f"{path} is not a safetensors file, or it is truncated", _AGAIN)
        data = file.read(length)
    try:
        header = parse_header(data)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is not a safetensors file, or it is truncated", _AGAIN) from error
    if size < 8 + length + header.end:
        raise _truncated(path, size, 8 + length + header.end)
    first = 8 + length
    places = {name: (first + a, first + b) for name, (a, b) in header.places.items()}
    states = read_states(path, places) if places else {}
    logical = merge_scales(header.tensors, states)
    return Header(
        path=path,
        format="safetensors",
        tensors=logical.tensors,
        metadata=header.metadata,
        number_format=logical.number_format,
    )


def _read_gguf(path: Path, size: int) -> Header:
    header = _parse_gguf(path)
    if size < header.end:
        raise _truncated(path, size, header.end)
    names = rename(header.tensors, header.metadata.get(gguf.ARCHITECTURE, ""))
    return Header(
        path=path,
        format="gguf",
        tensors={
            new: TensorHeader(header.tensors[old].type.name, header.tensors[old].shape)
            for old, new in names.items()
        },
        metadata=header.metadata,
        number_format=gguf.find_number_format(header.tensors),
    )


def _parse_gguf(path: Path) -> gguf.GgufHeader:
    try:
        with open_regular(path) as file:
            return gguf.parse_header(file)
    except (LookupError, OverflowError, ValueError, struct.error) as error:
        why = f": {error}" if type(error) is ValueError else ""
        raise ModelError(f"{path} is not a GGUF file that can be read{why}", _AGAIN) from error


def _read_pickle(path: Path, size: int, form: str, scan: PickleScan) -> Header:
    if scan.failed and not scan.code:
        raise ModelError(f"{path} is truncated, or not a weights file: {scan.failed}", _AGAIN)
    min_size = sum(prod(run.shape) * run.itemsize for run in scan.storages.values())
    if size < min_size:
        raise _truncated(path, size, min_size)
    return Header(path=path, format=form, tensors=scan.tensors, names=scan.names, code=scan.code)


def _truncated(path: Path, size: int, whole: int) -> ModelError:
    return ModelError(f"{path} is truncated: {size:,} of at least {whole:,} bytes", _AGAIN)
