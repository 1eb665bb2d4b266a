"""The files of a model, and whether they changed on disk. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from math import prod
from pathlib import Path

from dream.catalogue.detect import TensorHeader, detect, read_header
from dream.catalogue.detect.model_kinds import UNET
from dream.catalogue.model_info import BASE, ModelInfo, PartFile
from dream.catalogue.weight_files import WeightFiles, find_weights
from dream.core.file_names import get_file_stamp

MODEL_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")
"""Suffixes of the files that are read from a folder in diffusers layout: all but its model info,
which is read for each image anyway, and documentation."""


def list_weight_files(info: ModelInfo) -> WeightFiles:
    """The weight files of a single-file model, or of one that is split into several. Raises
    ModelError for a base model whose folder is not complete."""
    parts = (part for part in info.parts if not part.part.startswith("tokenizer"))
    others = (file for part in parts for file in _list_part_files(part))
    return WeightFiles(tuple(dict.fromkeys((info.path, *others))), ema=info.ema)


def _list_part_files(part: PartFile) -> tuple[Path, ...]:
    """The weight files of a part; of a base model in a folder, all but those of its UNet."""
    if part.part != BASE or part.path.is_file():
        return (part.path,)
    from dream.engine.loading.model_index import read_index  # imports diffusers

    libraries = read_index(part.path).libraries
    return find_weights(part.path, {n: libraries[n] for n in libraries if n != "unet"}).files


def count_used_parameters(info: ModelInfo) -> int:
    """How many numbers the files of a single-file model hold that are loaded. Raises ModelError."""
    return sum(_count_used(info, file) for file in list_weight_files(info).files)


def _count_used(info: ModelInfo, file: Path) -> int:
    whole = detect(file).parameters
    if not _is_base_file(info, file):
        return whole
    rows = read_header(file).tensors.items()
    return whole - sum(prod(row.shape) for name, row in rows if name.startswith(UNET))


def select_used(
    info: ModelInfo, file: Path, rows: Mapping[str, TensorHeader]
) -> Mapping[str, TensorHeader]:
    """The tensors of a file that are loaded for a model: none of a base model's UNet."""
    if not _is_base_file(info, file):
        return rows
    return {name: row for name, row in rows.items() if not name.startswith(UNET)}


def _is_base_file(info: ModelInfo, file: Path) -> bool:
    return any(part.part == BASE and part.path == file for part in info.parts)


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
