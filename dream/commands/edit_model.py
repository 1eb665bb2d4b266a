"""!edit_model: change a model's settings and name in models.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from dream.catalogue import ModelInfo, ModelRegistry
from dream.catalogue.discovery import normalize_path
from dream.catalogue.models_toml import BOOLEAN, SHARED_KEYS
from dream.catalogue.models_toml_writer import rename_entry, set_values
from dream.catalogue.vaes import check_vae
from dream.commands.command import Context, Line, TextOutput
from dream.commands.import_model import find_local_path
from dream.commands.model_commands import NO_VAE_WORD
from dream.commands.model_text import find_listed_name
from dream.core.errors import BadLine, ModelError
from dream.core.events import Events, Note
from dream.line import split_words
from dream.line.words import Word
from dream.options.option_type import OptionType, choice, text
from dream.session import Session

NAME_FIELD = "name"

_FIELDS: Mapping[str, OptionType[Any]] = MappingProxyType(
    {
        **SHARED_KEYS,
        "family": choice("sd1", "sd2", "sdxl", "sd3", "flux", "other"),
        "path": text("PATH", "the path of the model", completes="file"),
        "default": BOOLEAN,
        NAME_FIELD: text("NEW", "a new name"),
    }
)
EDIT_OPTIONS = MappingProxyType({f"--{field}": kind for field, kind in _FIELDS.items()})


def edit_model(context: Context, argument: str) -> Events[None]:
    """!edit_model NAME --FIELD VALUE…, or NAME FIELD VALUE: change a model's settings in
    models.toml; `none` removes one, --name renames the model. NAME alone lists the settings."""
    session, registry = context.session, context.session.registry
    words = list(split_words(argument))
    if not words:
        raise BadLine(f"usage: !edit_model NAME --FIELD VALUE; the fields are {' '.join(_FIELDS)}")
    name = find_listed_name(registry, words[0].text)
    if len(words) == 1:
        yield TextOutput(lines=(f"{name}:", *_list_settings(registry, name)))
        return
    fields = _parse_options(words[1:]) if words[1].switch else _parse_field(argument, words)
    values = {field: _parse_value(field, text) for field, text in fields.items()}
    if values.get("ema") and not registry.get_model(name).averages:
        raise ModelError(f"{name} has no EMA weights")
    if values.get("vae"):
        values["vae"] = _find_vae(registry, values["vae"])
    new = values.pop(NAME_FIELD, name)
    if values:
        file = set_values(registry.models_dirs, name, values)
        changes = ", ".join(f"{field} is {fields[field]}" for field in values)
        yield Note(text=f"{file}: {name}'s {changes}")
    if new != name:
        yield _rename(session, name, new)


def _find_vae(registry: ModelRegistry, name: str) -> str:
    """Return the name of a listed VAE, else its absolute path. Raises ModelError if it is not a
    VAE."""
    path = registry.get_vae(name)
    check_vae(path)
    return name if name in registry.list_vaes() else str(normalize_path(path))


def _rename(session: Session, name: str, new: str) -> Note:
    registry = session.registry
    places = registry.find_paths()
    if new in places:
        raise ModelError(f"model {new} already exists: {places[new]}")
    file = rename_entry(registry.models_dirs, name, new, places[name])
    # Both, so that !set does not list it as a change.
    if session.base.model == name:
        session.base = replace(session.base, model=new)
    if session.at_start.model == name:
        session.at_start = replace(session.at_start, model=new)
    return Note(text=f"{file}: renamed {name} to {new}; lines with the name {name} still work")


def _list_settings(registry: ModelRegistry, name: str) -> list[Line]:
    info = registry.get_model(name)
    values = ((field, getattr(info, field)) for field in ("path", *SHARED_KEYS))
    rows = [
        (f"  {field}", _format_value(value)) for field, value in values if value not in ("", False)
    ]
    return [*rows, *_describe_detected(info)]


def _describe_detected(info: ModelInfo) -> list[Line]:
    """What a single file was detected as, regardless of models.toml."""
    if info.path.is_dir():
        return []
    from dream.catalogue.detect import detect  # slow to import, and rarely needed

    detected = detect(info.path)
    kind = f"{detected.family} {detected.variant}".rstrip()
    return [("  detected as", f"{kind}, predicts {detected.prediction_type}")]


def _format_value(value: object) -> str:
    return "true" if value is True else str(value)


def _parse_options(words: Sequence[Word]) -> dict[str, str]:
    """Parse `--steps 30 --ema` into field → text. Raises BadLine."""
    fields: dict[str, str] = {}
    field = ""
    for word in words:
        if word.switch:
            name, equals, value = word.text.partition("=")
            field = name.lstrip("-").replace("-", "_")
            fields[field] = value if equals else ""
        else:
            fields[field] = f"{fields[field]} {word.text}".lstrip()
    for field, value in fields.items():
        if not value and _FIELDS.get(field) is BOOLEAN:
            fields[field] = "true"
        elif not value and field in _FIELDS:
            raise BadLine(f"--{field} needs {_FIELDS[field].expects}")
    return fields


def _parse_field(argument: str, words: Sequence[Word]) -> dict[str, str]:
    if len(words) < 3:
        raise BadLine(f"usage: !edit_model NAME FIELD VALUE; the fields are {' '.join(_FIELDS)}")
    return {words[1].text: words[2].text if len(words) == 3 else argument[words[2].start :].strip()}


def _parse_value(field: str, text: str) -> Any:
    """Return the value for models.toml; None removes the field. Raises BadLine."""
    if field not in _FIELDS:
        fields = " ".join(_FIELDS)
        raise BadLine(f"“{field}” is not a field of a model; the fields are {fields}")
    if text == NO_VAE_WORD and field != NAME_FIELD:
        return None
    try:
        value = _FIELDS[field].read([text])
    except ValueError:
        raise BadLine(f"{field} takes {_FIELDS[field].expects}, not “{text}”") from None
    if field == "path":
        value = find_local_path(text)
        if value is None:
            raise BadLine(f"{text} does not exist")
    return value or None
