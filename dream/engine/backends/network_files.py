"""The files of one converted network in its folder: model.xml, model.bin and info.json."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

XML, BIN, INFO = "model.xml", "model.bin", "info.json"
_FILES = {XML, BIN, INFO}
_SAMPLES, _SAMPLE = 64, 4096
"""How many places of model.bin are compared, and how many bytes of each."""


def read_info(folder: Path) -> dict[str, Any] | None:
    """What is recorded of a network; None where nothing can be read."""
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return info if isinstance(info, dict) else None


def write_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Atomically."""
    with tempfile.NamedTemporaryFile(
        "w", dir=folder, prefix=INFO, delete=False, encoding="utf-8"
    ) as file:
        json.dump(dict(info), file)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(folder / INFO)


def describe_files(folder: Path) -> dict[str, Any]:
    """The sizes of both files, and a hash of the first and of samples of the second. Raises
    OSError."""
    xml, weights = folder / XML, folder / BIN
    size = weights.stat().st_size
    digest = hashlib.sha256(xml.read_bytes())
    with weights.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE) * number // max(1, _SAMPLES - 1))
            digest.update(file.read(_SAMPLE))
    return {XML: xml.stat().st_size, BIN: size, "sha256": digest.hexdigest()}


def is_whole(folder: Path, info: Mapping[str, Any]) -> bool:
    """Whether its files are those that `describe_files` described."""
    try:
        return bool(info.get("files") == describe_files(folder))
    except OSError:
        return False


def measure_size(folder: Path) -> int:
    """Bytes of its files."""
    total = 0
    for name in _FILES:
        with suppress(OSError):
            total += (folder / name).stat().st_size
    return total


def delete_network(folder: Path) -> None:
    """Delete the files that are written here, and the folder if it is empty then."""
    for file in folder.glob("*") if folder.is_dir() else ():
        if file.name in _FILES or file.name.startswith(INFO):
            with suppress(OSError):
                file.unlink()
    with suppress(OSError):
        folder.rmdir()
