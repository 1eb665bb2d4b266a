"""The files of a model, and whether they changed on disk."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from dream.catalogue.model_info import ModelInfo
from dream.core.file_names import get_file_stamp
from dream.engine.loading.weight_files import WeightFiles

MODEL_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")
"""Suffixes of the files that are read from a folder in diffusers layout: all but its model info,
which is read for each image anyway, and documentation."""


def list_weight_files(info: ModelInfo) -> WeightFiles:
    """The weight files of a single-file model, or of one that is split into several."""
    others = (part.path for part in info.parts if not part.part.startswith("tokenizer"))
    return WeightFiles(tuple(dict.fromkeys((info.path, *others))), ema=info.ema)


FileStamps = tuple[tuple[Path, tuple[int, ...] | None], ...]
Stamps = tuple[FileStamps, ...]
"""Of each file of a model, or folder: its files, and their stamps."""


def compute_file_signature(path: Path) -> FileStamps:
    """Changes when the files of a model or a VAE change on disk: its file and the .yaml beside it,
    or the files in its folder and in those of its components. Takes a millisecond, and reads no
    file."""
    files = [path, path.with_suffix(".yaml")]
    if path.is_dir():
        files = [
            file for file in (*path.glob("*"), *path.glob("*/*")) if file.suffix in MODEL_SUFFIXES
        ]
    return tuple((file, get_file_stamp(file)) for file in sorted(files))


def is_overwritten(before: Stamps, now: Stamps) -> bool:
    """Whether a file of the first signature was written to, so that what is mapped of it changed.
    One that was replaced or deleted stays as it is as long as it is mapped."""
    stamps = dict(chain.from_iterable(now))
    return any(
        old is not None and new is not None and old[0] == new[0] and old[1:3] != new[1:3]
        for file, old in chain.from_iterable(before)
        for new in (stamps.get(file),)
    )


def compute_model_signature(info: ModelInfo) -> Stamps:
    """The signature of all files of a model."""
    paths = dict.fromkeys((info.path, *(part.path for part in info.parts)))
    return tuple(compute_file_signature(path) for path in paths)
