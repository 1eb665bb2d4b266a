"""Rejects model folders that are unsafe to load: Python files, which a library would run, and
pipes, devices and huge text files, which it would wait for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dream.core.errors import ModelError

LIBRARIES = ("diffusers", "transformers")
"""Libraries whose classes a model may use. Any other name in model_index.json would be imported."""

OWN_CLASSES = {"kolors": ("ChatGLMModel", "ChatGLMTokenizer")}
"""Pipelines of diffusers that have classes of their own, as the libraries that model_index.json
names: those that a model may use."""

_WEIGHTS = (
    ".safetensors",
    ".sft",
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
"""Maximum bytes of a file without weights, which the libraries read as a whole. Large vocabularies
take 40 MB."""


def may_use(library: object, kind: object) -> bool:
    """Whether a model may use a class of a library."""
    return library in LIBRARIES or kind in OWN_CLASSES.get(str(library), ())


def refuse_irregular(folder: Path) -> None:
    """Reject a folder that has, itself or in its subfolders, an entry that is neither a regular
    file nor a folder, or a huge text file: diffusers and transformers would open it and hang.

    Links are followed, hidden files are ignored. Raises ModelError with the name of the file.
    """
    for entry in _entries(folder):
        try:
            status = entry.stat()
        except OSError:  # a dangling link; the code that needs the file reports it
            continue
        if problem := _find_problem(entry.name, status):
            raise ModelError(f"{entry.path} {problem}", "download the model from its author again")


def _find_problem(name: str, status: os.stat_result) -> str:
    """What is wrong with an entry of a model folder; usually empty."""
    if stat.S_ISDIR(status.st_mode):
        return ""
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_size > _TEXT_LIMIT and not name.lower().endswith(_WEIGHTS):
        return f"is too large for a file without weights: {status.st_size >> 20} MiB"
    return ""


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                yield entry
                if entry.is_dir():
                    with suppress(OSError), os.scandir(entry) as inner:
                        yield from (child for child in inner if not child.name.startswith("."))


def refuse_code(folder: Path, index: Mapping[str, Any]) -> None:
    """Reject a folder in diffusers layout that contains code, before anything is imported.

    diffusers imports `LIBRARY.py` in a component's folder in place of the library that
    model_index.json names for it (`None.py` if it names none); before 0.38 without asking.
    `index` is the content of model_index.json. Raises ModelError with the name of the file.
    """
    for name, row in index.items():
        if not isinstance(row, list) or not row:
            continue
        if not name.isidentifier():
            raise ModelError(
                f"{folder}: its index lists the component {name!r}, which is not a folder name"
            )
        for library in (None, *LIBRARIES, row[0]):
            _refuse_library(folder, folder / name, str(library))


def _refuse_library(model: Path, component: Path, library: str) -> None:
    path = component / f"{library}.py"  # of any length: no file may have such a name
    if library.isidentifier() and os.path.lexists(path):
        raise ModelError(
            f"{model} is refused: loading the model would run {path}",
            "weights need no code; download the model from its author again",
        )
