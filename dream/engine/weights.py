"""The weight files of a model in diffusers layout: which they are, how large, and their digest."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

from platformdirs import user_cache_path

from dream.catalogue.found import variant_of
from dream.errors import ModelError

HEADER_LIMIT = 100_000_000
"""Bytes; safetensors itself refuses longer headers."""


@dataclass(frozen=True)
class Weights:
    """The files `from_pretrained` reads, in the order of their names."""

    files: tuple[Path, ...]
    variant: str | None = None
    """The word in `model.fp16.safetensors`, when there is no file without one."""
    ema: bool = False
    """Whether of a single file the running averages are read, and not the weights proper."""

    @property
    def safe(self) -> bool:
        """Whether no pickle is among them."""
        return all(path.suffix == ".safetensors" for path in self.files)


def find_weights(folder: Path, components: Sequence[str]) -> Weights:
    """The weights of these components (the folders named in model_index.json).

    Where a component has both, safetensors are taken and pickles left alone. Raises ModelError
    when there is not one file.
    """
    files: list[Path] = []
    variants: set[str | None] = set()
    for component in components:
        here = sorted((folder / component).glob("*.safetensors"))
        here = here or sorted((folder / component).glob("*.bin"))
        plain = [path for path in here if _variant(path) is None]
        variant = None if plain or not here else _variant(here[0])
        files += [path for path in here if _variant(path) == variant]
        variants.add(variant)
    if not files:
        raise ModelError(
            f"{folder} holds no weights", "its components need .safetensors files; copy it again"
        )
    return Weights(tuple(files), next((v for v in variants if v is not None), None))


def count_parameters(weights: Weights) -> int:
    """How many numbers the files hold, from their headers; for pickles a guess from their size.

    Raises ModelError for a file that is no safetensors file.
    """
    return sum(
        _count(path) if path.suffix == ".safetensors" else path.stat().st_size // 4
        for path in weights.files
    )


def digest(weights: Weights) -> str:
    """SHA-256 over the contents of the files, 64 hex digits: which weights painted a picture. Of a
    file's running averages, whose file is the same, the SHA-256 of "model_ema:" and that.

    Remembered in the user's cache folder by path, size and time of change, for two gigabytes take
    seconds. A cache that cannot be written is done without.
    """
    whole = _digest_of_files(weights)
    return hashlib.sha256(f"model_ema:{whole}".encode()).hexdigest() if weights.ema else whole


def _digest_of_files(weights: Weights) -> str:
    memory = _memory(weights)
    with suppress(OSError):
        if len(known := memory.read_text()) == 64:
            return known
    result = hashlib.sha256()
    for path in weights.files:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                result.update(chunk)
    with suppress(OSError):
        _remember(memory, result.hexdigest())
    return result.hexdigest()


def _variant(path: Path) -> str | None:
    return variant_of(path.name) or None


def _count(path: Path) -> int:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > HEADER_LIMIT:
                raise ValueError
            header = json.loads(file.read(length))
            return sum(prod(row["shape"]) for name, row in header.items() if name[:2] != "__")
    except (OSError, struct.error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path} is not a safetensors file, or is cut short", "copy or download it again"
        ) from error


def _memory(weights: Weights) -> Path:
    stats = [(str(path.resolve()), path.stat()) for path in weights.files]
    key = json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    name = hashlib.sha256(key.encode()).hexdigest()
    return user_cache_path("dream", appauthor=False) / "weights" / name


def _remember(memory: Path, value: str) -> None:
    """Written aside and renamed, so that a reader never sees half of it."""
    memory.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=memory.parent)
    with os.fdopen(handle, "w") as file:
        file.write(value)
    Path(aside).replace(memory)
