"""The weight files of a model in diffusers layout: which they are, how large, and their SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

from dream.core.bounded_reading import open_regular, read_json
from dream.core.errors import ModelError
from dream.core.weight_digests import find_digest_file, read_known_digest

WEIGHTS_HEADER_LIMIT = 100_000_000
"""Bytes; safetensors itself refuses longer headers."""


_INDEX_LIMIT = 1 << 24
"""Bytes of an index of shards; the largest models have some 200 thousand."""


SAFE_SUFFIXES = (".safetensors", ".sft")
"""Of files that are no pickles."""


@dataclass(frozen=True)
class WeightFiles:
    """The files `from_pretrained` reads, component by component."""

    files: tuple[Path, ...]
    variant: str | None = None
    """The variant in `model.fp16.safetensors`, when there is no file without one."""
    ema: bool = False
    """For a single file: whether its EMA weights are read instead of its main weights."""

    @property
    def is_safe(self) -> bool:
        """Whether no file is a pickle."""
        return all(path.suffix.lower() in SAFE_SUFFIXES for path in self.files)


def find_weights(folder: Path, parts: Mapping[str, str]) -> WeightFiles:
    """The weights of these components: the folders named in model_index.json, and the library of
    each.

    They are the files that the library itself loads, by name, variant and index; others beside
    them, such as a second copy, are ignored. Where a component has both, safetensors are read and
    pickles ignored. Raises ModelError when there is no file, and for a component whose files have
    other names than its library looks for.
    """
    components = [_weights_of(folder / part, library) for part, library in parts.items()]
    files = tuple(path for weights in components for path in weights.files)
    if not files:
        raise ModelError(
            f"{folder} contains no weights",
            "its components need .safetensors files; copy the whole folder again",
        )
    variants = (weights.variant for weights in components)
    return WeightFiles(files, next((variant for variant in variants if variant is not None), None))


@dataclass(frozen=True)
class _Naming:
    """The names that a library gives to weight files."""

    stems: Mapping[str, str]
    """The name before the suffix, by suffix; the suffixes in order of preference."""
    index_first: bool
    """Whether an index of shards is preferred to a single file."""


_DIFFUSERS = "diffusion_pytorch_model"
_TRANSFORMERS = _Naming({"safetensors": "model", "bin": "pytorch_model"}, index_first=False)
_NAMINGS = {
    "diffusers": _Naming({"safetensors": _DIFFUSERS, "bin": _DIFFUSERS}, index_first=True),
    "transformers": _TRANSFORMERS,
    "kolors": _TRANSFORMERS,
}
"""`ModelMixin.from_pretrained` of diffusers, `PreTrainedModel.from_pretrained` of transformers."""

_PREFERRED = ("fp16", "bf16")
"""Variants, before all others; a file without one comes first."""


def _weights_of(part: Path, library: str) -> WeightFiles:
    """The files of one component; none where it has no weights. Raises ModelError."""
    naming = _NAMINGS.get(library, _NAMINGS["diffusers"])
    here = {path.name for path in part.iterdir()} if part.is_dir() else set()
    for suffix, stem in naming.stems.items():
        for variant in _variants(here, stem, suffix):
            if files := _files_of(part, here, naming, suffix, variant):
                return WeightFiles(files, variant)
    if others := sorted(name for name in here if name.endswith((".safetensors", ".bin"))):
        stem = naming.stems["safetensors"]
        sharded = re.match(rf"{stem}\b.*-\d+-of-\d+\.", others[0])
        wanted = f"{stem}.safetensors" + (".index.json" if sharded else "")
        raise ModelError(
            f"{part}: {wanted} is missing, and {library} does not load {others[0]}",
            "copy the whole folder again" if sharded else f"rename the right file to {wanted}",
        )
    return WeightFiles(())


def _variants(here: Collection[str], stem: str, suffix: str) -> list[str | None]:
    """The variants of a component's files, None being the plain one, in order of preference."""
    word = r"(?P<variant>[\w-]+)"
    forms = (
        rf"{stem}\.{word}\.{suffix}",
        rf"{stem}\.{suffix}\.index\.{word}\.json",
        rf"{stem}\.{suffix}\.{word}\.index\.json",
    )
    matches = (re.fullmatch(form, name) for name in here for form in forms)
    available = {match["variant"] for match in matches if match}
    preferred = [variant for variant in _PREFERRED if variant in available]
    return [None, *preferred, *sorted(available - {*preferred})]


def _files_of(
    part: Path, here: Collection[str], naming: _Naming, suffix: str, variant: str | None
) -> tuple[Path, ...]:
    """The single file, or the shards, of one suffix and variant; none where they do not exist."""
    stem = naming.stems[suffix]
    word = f".{variant}" if variant else ""
    single = f"{stem}{word}.{suffix}"
    indexes = (f"{stem}.{suffix}.index{word}.json", f"{stem}.{suffix}{word}.index.json")
    index = next((name for name in indexes if name in here), None)
    if single in here and (index is None or not naming.index_first):
        return (part / single,)
    return () if index is None else _shards(part / index, here)


def _shards(index: Path, here: Collection[str]) -> tuple[Path, ...]:
    """The files that an index names. Raises ModelError where one is not in the same folder."""
    try:
        names = sorted(set(read_json(index, _INDEX_LIMIT)["weight_map"].values()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{index} cannot be read", "copy the whole folder again") from error
    for name in names:
        if name not in here:
            raise ModelError(f"{index.parent}: {name} is missing", "copy the whole folder again")
    return tuple(index.parent / name for name in names)


def count_parameters(weights: WeightFiles) -> int:
    """How many numbers the files hold, from their headers; for pickles an estimate from their size.

    Raises ModelError for a file that is not a safetensors file.
    """
    return sum(
        _count(path) if path.suffix.lower() in SAFE_SUFFIXES else path.stat().st_size // 4
        for path in weights.files
    )


def hash_weight_files(weights: WeightFiles) -> str:
    """SHA-256 over the contents of the files, 64 hex digits: which weights generated an image. For
    the EMA weights of a file, the SHA-256 of "model_ema:" and that.

    Cached in the user's cache folder by path, size and modification time, because two gigabytes
    take seconds. Works without a writable cache.
    """
    whole = _digest_of_files(weights)
    return hashlib.sha256(f"model_ema:{whole}".encode()).hexdigest() if weights.ema else whole


def hash_network(path: Path) -> str:
    """SHA-256 of one network, 64 hex digits: of a file, or of a component's folder in diffusers
    layout. Raises OSError, and ModelError for a folder without weights."""
    if path.is_dir():
        return hash_weight_files(find_weights(path.parent, {path.name: "diffusers"}))
    return hash_weight_files(WeightFiles((path,)))


def _digest_of_files(weights: WeightFiles) -> str:
    if known := read_known_digest(weights.files):
        return known
    memory = find_digest_file(weights.files)
    result = hashlib.sha256()
    for path in weights.files:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                result.update(chunk)
    with suppress(OSError):
        _store_digest(memory, result.hexdigest())
    return result.hexdigest()


def _count(path: Path) -> int:
    try:
        with open_regular(path) as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > WEIGHTS_HEADER_LIMIT:
                raise ValueError
            header = json.loads(file.read(length))
            return sum(prod(row["shape"]) for name, row in header.items() if name[:2] != "__")
    except (OSError, struct.error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path} is not a safetensors file, or is truncated", "copy or download it again"
        ) from error


def _store_digest(memory: Path, value: str) -> None:
    """Written to a temporary file and renamed, so that a reader never sees half of it."""
    memory.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=memory.parent)
    with os.fdopen(handle, "w") as file:
        file.write(value)
    Path(temporary).replace(memory)
