"""Reads InvokeAI's models.yaml (versions 1.14 to 2.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dream.catalogue.discovery import normalize_path
from dream.catalogue.models_toml import validate_entries
from dream.catalogue.read_yaml import parse_yaml
from dream.core.bounded_reading import explain_error, read_bounded
from dream.core.errors import BadLine, ModelError
from dream.core.file_names import parse_path, path_exists_at

_MAX_BYTES = 1 << 16
"""Maximum bytes; a hundred models take a quarter of it."""


@dataclass(frozen=True)
class InvokeAIModel:
    """One model in the file."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    """Values for models.toml, including `path` (a Path), unless `why_not`."""
    lacks: str = ""
    """The VAE that is listed and was not found; usually empty."""
    why_not: str = ""
    """Why it cannot be imported, and what to do; usually empty."""


def read_models_yaml(file: Path) -> Iterator[InvokeAIModel]:
    """Yield every model in the file. Raises ModelError for a file that cannot be read."""
    try:
        table = parse_yaml(read_bounded(file, _MAX_BYTES))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {explain_error(error)}") from error
    if not isinstance(table, dict):
        raise ModelError(f"{file} is not a models.yaml", "InvokeAI keeps it in configs/models.yaml")
    for name, row in table.items():
        if isinstance(row, dict):
            yield _entry(str(name), row, file)


def _entry(name: str, row: dict[str, Any], file: Path) -> InvokeAIModel:
    place = row.get("weights") or row.get("path")
    if not place and row.get("repo_id"):
        return InvokeAIModel(
            name, why_not=f"to download it: !import_model {row['repo_id']} --name {name}"
        )
    path = _find_path(str(place), file) if place else None
    if path is None:
        return InvokeAIModel(
            name, why_not=f"there is no {place}" if place else "it has no weights or path"
        )
    vae_name = _vae_name(row.get("vae"))
    vae = _find_path(vae_name, file) if vae_name else None
    values = {**_settings(name, row), "path": path, **({"vae": str(vae)} if vae else {})}
    return InvokeAIModel(name, values, lacks="" if vae else vae_name)


def _settings(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """A model's valid values for models.toml, except paths."""
    settings = {key: row[key] for key in ("description", "width", "height") if row.get(key)}
    default = {"default": True} if row.get("default") is True else {}
    return {**validate_entries(settings, name, _ignore), **default}


def _vae_name(value: object) -> str:
    """The path or hub id of a VAE; empty for none."""
    if isinstance(value, dict):
        value = value.get("path") or value.get("repo_id")
    return value if isinstance(value, str) else ""


def _find_path(place: str, file: Path) -> Path | None:
    """Resolve a path relative to InvokeAI's root; the file is in its `configs` folder."""
    try:
        path = parse_path(place)
    except BadLine:
        return None
    for root in (file.absolute().parent.parent, file.absolute().parent, Path.cwd()):
        if path_exists_at(root / path):
            return normalize_path(root / path)
    return None


def _ignore(complaint: str) -> None:
    """Values out of range are ignored."""
