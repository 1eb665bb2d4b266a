"""!edit_model: what models.toml says of a model, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from dream.catalogue import ModelInfo, ModelRegistry
from dream.catalogue.discovery import normalize_path
from dream.catalogue.models_toml import BOOLEAN, SHARED_KEYS
from dream.catalogue.models_toml_writer import rename_entry, set_values
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
        "path": text("PATH", "where the model lies", completes="file"),
        "default": BOOLEAN,
        NAME_FIELD: text("NEW", "what it is called from now on"),
    }
)
EDIT_OPTIONS = MappingProxyType({f"--{field}": kind for field, kind in _FIELDS.items()})


def edit_model(context: Context, argument: str) -> Events[None]:
    """!edit_model NAME --FIELD VALUE…, or NAME FIELD VALUE: say something of a model in
    models.toml; `none` takes it away. --name calls it otherwise. NAME alone shows what is known."""
    studio, shelf = context.studio, context.studio.shelf
    said = list(split_words(argument))
    if not said:
        raise BadLine(f"!edit_model takes NAME --FIELD VALUE; the fields are {' '.join(_FIELDS)}")
    name = find_listed_name(shelf, said[0].text)
    if len(said) == 1:
        yield TextOutput(lines=(f"{name}:", *_known(shelf, name)))
        return
    asked = _switches(said[1:]) if said[1].switch else _field_and_value(argument, said)
    values = {field: _value(field, text) for field, text in asked.items()}
    if values.get("ema") and not shelf.get_model(name).averages:
        raise ModelError(f"{name} holds no running averages of its training (ema)")
    if values.get("vae"):
        values["vae"] = _vae(shelf, values["vae"])
    new = values.pop(NAME_FIELD, name)
    if values:
        file = set_values(shelf.models_dirs, name, values)
        told = ", ".join(f"{field} is {asked[field]}" for field in values)
        yield Note(text=f"{file}: {name}'s {told}")
    if new != name:
        yield _renamed(studio, name, new)


def _vae(shelf: ModelRegistry, name: str) -> str:
    """A VAE's name, or from wherever one stands its path. Raises ModelError for what is none."""
    path = shelf.get_vae(name)
    return name if name in shelf.list_vaes() else str(normalize_path(path))


def _renamed(studio: Session, name: str, new: str) -> Note:
    shelf = studio.shelf
    places = shelf.find_paths()
    if new in places:
        raise ModelError(f"there is a model {new} already, in {places[new]}")
    file = rename_entry(shelf.models_dirs, name, new, places[name])
    # Both, so that !set does not tell of it as a change.
    if studio.base.model == name:
        studio.base = replace(studio.base, model=new)
    if studio.at_start.model == name:
        studio.at_start = replace(studio.at_start, model=new)
    return Note(text=f"{file}: {name} is {new} from now on; lines that say {name} still find it")


def _known(shelf: ModelRegistry, name: str) -> list[Line]:
    card = shelf.get_model(name)
    values = ((field, getattr(card, field)) for field in ("path", *SHARED_KEYS))
    rows = [(f"  {field}", _shown(value)) for field, value in values if value not in ("", False)]
    return [*rows, *_recognised(card)]


def _recognised(card: ModelInfo) -> list[Line]:
    """What a single file was taken for, whatever models.toml says of it."""
    if card.path.is_dir():
        return []
    from dream.catalogue.detect import detect  # as little as the shelf needs it at first

    found = detect(card.path)
    kind = f"{found.family} {found.variant}".rstrip()
    return [("  recognised", f"{kind}, which predicts {found.prediction_type}")]


def _shown(value: object) -> str:
    return "true" if value is True else str(value)


def _switches(said: Sequence[Word]) -> dict[str, str]:
    """`--steps 30 --ema`: field → words. Raises BadLine."""
    asked: dict[str, str] = {}
    field = ""
    for word in said:
        if word.switch:
            name, equals, value = word.text.partition("=")
            field = name.lstrip("-").replace("-", "_")
            asked[field] = value if equals else ""
        else:
            asked[field] = f"{asked[field]} {word.text}".lstrip()
    for field, value in asked.items():
        if not value and _FIELDS.get(field) is BOOLEAN:
            asked[field] = "true"
        elif not value and field in _FIELDS:
            raise BadLine(f"--{field} takes {_FIELDS[field].expects}, but nothing follows")
    return asked


def _field_and_value(argument: str, said: Sequence[Word]) -> dict[str, str]:
    if len(said) < 3:
        raise BadLine(f"!edit_model takes NAME FIELD VALUE; the fields are {' '.join(_FIELDS)}")
    return {said[1].text: said[2].text if len(said) == 3 else argument[said[2].start :].strip()}


def _value(field: str, text: str) -> Any:
    """What models.toml gets; None takes it out. Raises BadLine."""
    if field not in _FIELDS:
        fields = " ".join(_FIELDS)
        raise BadLine(f"“{field}” is not said of a model; the fields are {fields}")
    if text == NO_VAE_WORD and field != NAME_FIELD:
        return None
    try:
        value = _FIELDS[field].read([text])
    except ValueError:
        raise BadLine(f"{field} takes {_FIELDS[field].expects}, not “{text}”") from None
    if field == "path":
        value = find_local_path(text)
        if value is None:
            raise BadLine(f"nothing lies at {text}")
    return value or None
