"""InvokeAI's models.yaml (versions 1.14 to 2.3), read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dream.catalogue.discovery import normalize_path
from dream.catalogue.models_toml import validate_entries
from dream.core.bounded_reading import explain_error, read_bounded
from dream.core.errors import BadLine, ModelError
from dream.core.file_names import parse_path, path_exists_at

_LIMIT = 1 << 16
"""Bytes; a hundred models take a quarter of it."""
_DEEPEST = 20
"""Levels in a file of three."""
_LONGEST = 4096
"""Characters of a value. One that is written to base 60 takes time that grows with their square."""


@dataclass(frozen=True)
class InvokeAIModel:
    """One model of the file."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    """For models.toml; with `path`, a Path, unless `why_not`."""
    lacks: str = ""
    """The VAE that it says and that is not here; mostly empty."""
    why_not: str = ""
    """Why it cannot be taken over, and what to do; mostly empty."""


def read_models_yaml(file: Path) -> Iterator[InvokeAIModel]:
    """Every model in the file. Raises ModelError for a file that cannot be read."""
    try:
        table = parse_yaml(read_bounded(file, _LIMIT))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {explain_error(error)}") from error
    if not isinstance(table, dict):
        raise ModelError(f"{file} is no models.yaml", "InvokeAI kept it in configs/models.yaml")
    for name, row in table.items():
        if isinstance(row, dict):
            yield _entry(str(name), row, file)


def parse_yaml(data: bytes) -> Any:
    """YAML of plain values. Raises ValueError, and nothing else, for what is none; and for aliases,
    through which ten lines may hold billions of values."""
    import yaml  # late, for one command

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(data, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has aliases (*), which are not supported")
            if isinstance(event, yaml.ScalarEvent) and len(event.value) > _LONGEST:
                raise ValueError(f"it has a value of more than {_LONGEST:,} characters")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise ValueError(f"it has more than {_DEEPEST} levels")
        return yaml.load(data, Loader=loader)
    except ValueError:
        raise
    except (Exception, RecursionError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _entry(name: str, row: dict[str, Any], file: Path) -> InvokeAIModel:
    place = row.get("weights") or row.get("path")
    if not place and row.get("repo_id"):
        return InvokeAIModel(
            name, why_not=f"!import_model {row['repo_id']} --name {name} fetches it"
        )
    path = _find(str(place), file) if place else None
    if path is None:
        return InvokeAIModel(
            name, why_not=f"nothing lies at {place}" if place else "it says no place"
        )
    said = {key: row[key] for key in ("description", "width", "height") if row.get(key)}
    values = {**validate_entries(said, name, _ignore), "path": path}
    if row.get("default") is True:
        values["default"] = True
    said_vae = _vae(row.get("vae"))
    vae = _find(said_vae, file) if said_vae else None
    if vae is not None:
        values["vae"] = str(vae)
    return InvokeAIModel(name, values, lacks="" if vae else said_vae)


def _vae(said: object) -> str:
    """Where a VAE lies, or which it is of the hub's; empty for none."""
    if isinstance(said, dict):
        said = said.get("path") or said.get("repo_id")
    return said if isinstance(said, str) else ""


def _find(place: str, file: Path) -> Path | None:
    """Places are relative to InvokeAI's root, in whose `configs` the file lies."""
    try:
        said = parse_path(place)
    except BadLine:
        return None
    for root in (file.absolute().parent.parent, file.absolute().parent, Path.cwd()):
        if path_exists_at(root / said):
            return normalize_path(root / said)
    return None


def _ignore(complaint: str) -> None:
    """A value out of range is left out."""
