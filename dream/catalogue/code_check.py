"""What is refused in a model's folder before a library reads it: Python files, which it would run,
and pipes, devices and endless files, which it would wait for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dream.core.errors import ModelError

LIBRARIES = ("diffusers", "transformers")
"""Whose classes a model may be made of. Any other name in model_index.json would be imported."""

_WEIGHTS = (
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".msgpack",
    ".h5",
    ".onnx",
    ".onnx_data",
    ".gguf",
)
_TEXT_LIMIT = 1 << 28
"""Bytes of a file without weights: the libraries read it whole. Large vocabularies take 40 MB."""


def refuse_irregular(folder: Path) -> None:
    """Refuse a folder that holds, in itself or in its parts' folders, what is neither a regular
    file nor a folder, or text without end: diffusers and transformers would open it and wait.

    Links are followed, hidden files are left out. Raises ModelError with the name of the file.
    """
    for entry in _entries(folder):
        try:
            found = entry.stat()
        except OSError:  # a link to nothing; whoever needs the file says so
            continue
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise ModelError(
                f"{entry.path} is not a regular file", "get the model from its author again"
            )
        text = stat.S_ISREG(found.st_mode) and not entry.name.lower().endswith(_WEIGHTS)
        if text and found.st_size > _TEXT_LIMIT:
            raise ModelError(
                f"{entry.path} has {found.st_size >> 20} MiB, too much for a file without weights",
                "get the model from its author again",
            )


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                yield entry
                if entry.is_dir():
                    with suppress(OSError), os.scandir(entry) as inner:
                        yield from (one for one in inner if not one.name.startswith("."))


def refuse_code(folder: Path, index: Mapping[str, Any]) -> None:
    """Refuse a folder in diffusers layout that brings code, before anything is imported.

    diffusers takes `LIBRARY.py` in a part's folder for the library that model_index.json names
    for the part, `None.py` where it names none; before 0.38 it did so without a question.
    `index` is what model_index.json holds. Raises ModelError with the name of the file.
    """
    for name, row in index.items():
        if not isinstance(row, list) or not row:
            continue
        if not name.isidentifier():
            raise ModelError(f"{folder}: its index names a part {name!r}, which is no folder in it")
        for library in (None, *LIBRARIES, row[0]):
            path = folder / name / f"{library}.py"  # of any length: no file may have such a name
            if str(library).isidentifier() and os.path.lexists(path):
                raise ModelError(
                    f"{folder} is refused: {path} would run while the model is loaded",
                    "weights need no code; get the model from its author again",
                )
