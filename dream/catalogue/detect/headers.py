"""The header of a file of weights: names, shapes and number types, and what else it says."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from dream.catalogue.detect import gguf
from dream.catalogue.detect.pickles import PickleScan, read_legacy, read_zip
from dream.catalogue.detect.safetensors_header import HEADER_LIMIT, parse_header
from dream.catalogue.detect.tensors import TensorHeader
from dream.catalogue.detect.zip_files import BadZip
from dream.core.bounded_reading import open_regular
from dream.core.errors import ModelError

__all__ = ["Header", "TensorHeader", "read_header"]

_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""How files of torch before 1.6 begin: torch's magic number, pickled."""

_NOT_WEIGHTS = (
    (b"<", "is a page of a web site, not a model", "it may need a login; download it again"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file itself", "git lfs pull"),
    (b"\x1f\x8b", "is compressed", "unpack it first"),
    (b"7z\xbc\xaf", "is compressed", "unpack it first"),
    (b"Rar!", "is compressed", "unpack it first"),
)
"""First bytes of files that are often saved under a model's name."""

_AGAIN = "copy or download it again"


@dataclass(frozen=True, kw_only=True)
class Header:
    """What can be known of a file of weights without reading them."""

    path: Path
    format: str
    """"safetensors", "zip" (torch's pickle today) or "legacy" (torch's before 1.6)."""
    tensors: Mapping[str, TensorHeader]
    metadata: Mapping[str, str] = field(default_factory=dict)
    """safetensors' `__metadata__`."""
    names: frozenset[str] = frozenset()
    """Of a pickle: the outermost dictionary's keys."""
    code: tuple[str, ...] = ()
    """Of a pickle: the functions and classes it would use that a file of weights has no need of."""


def read_header(path: Path) -> Header:
    """The header of a .safetensors, .ckpt, .pt, .pth or .bin file, whatever its suffix says: in
    0.2 s of work and 64 MiB of memory at most, whatever is in it.

    A pickle is walked with inert stand-ins in place of everything it names; nothing is imported
    and nothing runs. Raises ModelError for a file that is cut short, is no file of weights, or no
    regular file at all.
    """
    try:
        return _read(path)
    except ModelError:
        raise
    except BadZip as error:
        raise ModelError(f"{path} is cut short, or no file of weights: {error}", _AGAIN) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (Exception, RecursionError) as error:  # whatever damaged bytes make of a reader
        raise ModelError(f"{path} cannot be read: it is broken", _AGAIN) from error


def _read(path: Path) -> Header:
    with open_regular(path) as file:
        head = file.read(gguf.HEAD)
        size = file.seek(0, 2)
    start = head[:64]
    if not start:
        raise ModelError(f"{path} is empty", _AGAIN)
    if start[8:].lstrip()[:1] == b"{":
        return _safetensors(path, size)
    if start.startswith(b"PK\x03\x04"):
        return _pickle(path, size, "zip", read_zip(path, size))
    if start.startswith(_LEGACY):
        return _pickle(path, size, "legacy", read_legacy(path))
    if start.startswith(gguf.MAGIC):
        what, hint = gguf.refusal(head)
        raise ModelError(f"{path} {what}", hint)
    for first, what, hint in _NOT_WEIGHTS:  # last, for a length may begin like any of them
        if start.lstrip().startswith(first):
            raise ModelError(f"{path} {what}", hint)
    if start[0] == 0x80:
        raise ModelError(
            f"{path} is a pickle, but none that torch wrote, and is not opened",
            "get it as .safetensors",
        )
    raise ModelError(f"{path} is no file of weights, neither safetensors nor torch's", _AGAIN)


def _safetensors(path: Path, size: int) -> Header:
    """Format: 8 bytes, little-endian length of the JSON; the JSON; the numbers."""
    with open_regular(path) as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(HEADER_LIMIT, size):
            if HEADER_LIMIT < length < size:
                raise ModelError(f"{path} has a header of more than {HEADER_LIMIT:,} bytes")
            raise ModelError(f"{path} is not a safetensors file, or is cut short", _AGAIN)
        data = file.read(length)
    try:
        said = parse_header(data)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is not a safetensors file, or is cut short", _AGAIN) from error
    if size < 8 + length + said.end:
        raise _cut(path, size, 8 + length + said.end)
    return Header(path=path, format="safetensors", tensors=said.tensors, metadata=said.metadata)


def _pickle(path: Path, size: int, form: str, walk: PickleScan) -> Header:
    if walk.failed and not walk.code:
        raise ModelError(f"{path} is cut short, or no file of weights: {walk.failed}", _AGAIN)
    least = sum(prod(run.shape) * run.itemsize for run in walk.storages.values())
    if size < least:
        raise _cut(path, size, least)
    return Header(path=path, format=form, tensors=walk.tensors, names=walk.names, code=walk.code)


def _cut(path: Path, size: int, whole: int) -> ModelError:
    return ModelError(f"{path} is cut short: {size:,} of at least {whole:,} bytes", _AGAIN)
