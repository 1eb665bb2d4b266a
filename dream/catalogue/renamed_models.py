"""Models that models.toml calls otherwise than their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Entries = Mapping[str, Mapping[str, Any]]
"""See `models_toml.read_entries`."""


def find_renamed(entries: Entries, paths: Mapping[str, Path]) -> dict[str, str]:
    """Names of files and folders → their different names in models.toml. If an entry uses EMA
    weights, the file's other weights are a model of their own."""
    places = {name: get_identity(path) for name, path in paths.items()}
    renamed: dict[str, str] = {}
    for name, entry in entries.items():
        path_identity = get_identity(entry["path"]) if "path" in entry else None
        for old in (old for old, place in places.items() if place == path_identity and old != name):
            is_other_model = entry.get("ema", False) or old in entries
            if old in entry.get("formerly", ()) or not is_other_model:
                renamed[old] = name
    return renamed


def get_identity(path: Path) -> object:
    """Equal for two paths of one file or folder; the path itself if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino
