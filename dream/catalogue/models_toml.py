"""Reads models.toml, whose values take precedence over those in a model's folder.

    [models.tiny]
    steps = 20
    default = true

Every models folder can have one; if two set the same key of a model, the first folder's value is
used. `path` names a model outside the models folders, relative to the file's folder. `formerly` has
its previous names, which old logs contain. An invalid entry is reported and ignored; the rest is
used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dream.core import bounded_reading as reading
from dream.core.request import FLAGS
from dream.options.editors import EDITORS, NO_EDITOR
from dream.options.option_type import OptionType, choice, integer, text

Complain = Callable[[str], None]
"""Called with one line: what is wrong with an entry, and where."""

FILE_NAME = "models.toml"

_BOOLEANS = {"true": True, "false": False}


def _read_boolean(words: Sequence[str]) -> bool:
    if words[0].lower() not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[words[0].lower()]


BOOLEAN: OptionType[bool] = OptionType(
    "true|false",
    "true or false",
    _read_boolean,
    lambda value: [str(value).lower()],
    choices=(*_BOOLEANS,),
)
"""A boolean, spelled as in TOML."""

_LINE_OPTIONS = ("width", "height", "steps", "sampler", "cfg_scale", "cfg_rescale", "upscaler")
SHARED_KEYS: Mapping[str, OptionType[Any]] = {
    "description": text("WORDS", "a few words"),
    "family": text("NAME", "a model family, such as sd1"),
    "multiple": integer(1, 256),
    "prediction": choice("epsilon", "v_prediction"),
    "edits": choice(*EDITORS, NO_EDITOR),
    "vae": text("NAME", "the name or path of a VAE", completes="vae"),
    "text_encoder": text("NAME", "the name or path of a text encoder"),
    "base": text("NAME", "the base model of a UNet that is alone in its file"),
    "ema": BOOLEAN,
    **{name: FLAGS[name].kind for name in _LINE_OPTIONS},
}
"""The keys of both card.toml and models.toml, and their types."""

EXTRA_KEYS = ("path", "default", "formerly")
"""The keys of models.toml only."""


def read_toml(path: Path, complain: Complain) -> dict[str, Any]:
    """The content of a TOML file; empty if the file is missing or cannot be read."""
    try:
        return reading.read_toml(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        complain(f"{path}: {reading.explain_error(error)}")
        return {}


def validate_entries(table: Mapping[str, Any], where: str, complain: Complain) -> dict[str, Any]:
    """The entries of `table` whose keys are in SHARED_KEYS and whose values are valid."""
    valid: dict[str, Any] = {}
    for key, value in table.items():
        if key not in SHARED_KEYS:
            complain(f"{where}: unknown key {key}; the keys are {' '.join(SHARED_KEYS)}")
            continue
        try:
            if isinstance(value, list | dict):
                raise ValueError
            valid[key] = SHARED_KEYS[key].read([str(value)])
        except ValueError:
            complain(f"{where}: {key} = {value!r}, but it takes {SHARED_KEYS[key].expects}")
    return valid


def read_entries(dirs: Sequence[Path], complain: Complain) -> dict[str, dict[str, Any]]:
    """The content of the models.toml files: model name → validated values, optionally with
    `default` (True), `path` (a Path) and `formerly` (a tuple of previous names)."""
    entries: dict[str, dict[str, Any]] = {}
    for folder in dirs:
        for name, entry in _read_file(folder, complain).items():
            entries[name] = entry | entries.get(name, {})
    return entries


def _read_file(folder: Path, complain: Complain) -> dict[str, dict[str, Any]]:
    """The entries of the models.toml in one folder."""
    path = folder / FILE_NAME
    tables = read_toml(path, complain).get("models", {})
    if not isinstance(tables, dict):
        complain(f"{path}: models is not a table; write [models.NAME]")
        return {}
    entries = {
        name: _read_entry(table, folder, f"{path}: [models.{name}]", complain)
        for name, table in tables.items()
    }
    defaults = [name for name, entry in entries.items() if "default" in entry]
    if len(defaults) > 1:
        complain(f"{path}: {' and '.join(defaults)} are marked as default; the first is used")
    return entries


def _read_entry(table: object, folder: Path, where: str, complain: Complain) -> dict[str, Any]:
    if not isinstance(table, dict):
        complain(f"{where} is not a table")
        return {}
    default = table.get("default", False)
    if not isinstance(default, bool):
        complain(f"{where}: default = {default!r}, but it takes true or false")
        default = False
    values = {key: value for key, value in table.items() if key not in EXTRA_KEYS}
    entry = validate_entries(values, where, complain) | ({"default": True} if default else {})
    if "path" in table and (path := _read_path(table["path"], folder, where, complain)):
        entry["path"] = path
    if formerly := _read_names(table.get("formerly", []), where, complain):
        entry["formerly"] = formerly
    return entry


def _read_names(value: object, where: str, complain: Complain) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    complain(f"{where}: formerly = {value!r}, but it takes a list of names")
    return ()


def _read_path(value: object, folder: Path, where: str, complain: Complain) -> Path | None:
    try:
        path = folder.absolute() / Path(str(value)).expanduser()
        if path.exists():
            return path
    except (OSError, ValueError, RuntimeError):  # not a valid path, or ~USER does not exist
        pass
    complain(f"{where}: path = {value!r}, but it does not exist")
    return None
