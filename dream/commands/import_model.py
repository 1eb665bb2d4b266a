"""Commands by which models arrive: from the disk, an address, the hub, InvokeAI's list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dream.catalogue import ModelRegistry
from dream.catalogue.discovery import INDEX, normalize_path
from dream.catalogue.invokeai_models import read_models_yaml
from dream.catalogue.models_toml_writer import set_values
from dream.catalogue.read_model_info import read_model
from dream.commands.command import Context, find_named_file
from dream.commands.import_folder import has_several_models, refuse_options, scan_folder
from dream.commands.import_remote import (
    download_file,
    download_folder,
    get_model_name,
    is_address,
    parse_file_name,
    require_online,
)
from dream.commands.model_text import describe_family, format_bytes, measure_bytes
from dream.core.errors import BadLine, DreamError, ModelError
from dream.core.events import Events, Note
from dream.core.file_names import parse_path, path_exists_at
from dream.line import split_words
from dream.line.words import quote_value
from dream.options.option_type import BOOLEAN_FLAG, OptionType, text

if TYPE_CHECKING:
    from dream.catalogue.hub import HubId

# What goes on a network comes with the first download, not with the prompt.

NAME, DESCRIPTION, EMA, ALL = "--name", "--description", "--ema", "--all"
IMPORT_OPTIONS: Mapping[str, OptionType[Any]] = MappingProxyType(
    {
        NAME: text("NAME", "what it is called here"),
        DESCRIPTION: text("WORDS", "a few words for !models"),
        EMA: replace(
            BOOLEAN_FLAG, expects="the running averages of its training paint, not the weights"
        ),
        ALL: replace(BOOLEAN_FLAG, expects="all that a folder holds, without a question"),
    }
)


def import_model(context: Context, argument: str) -> Events[None]:
    """!import_model WHAT [--name N] [--description "…"] [--ema] [--all]: a model from wherever it
    is, into models.toml; of a folder of models all. Files on this machine stay where they are."""
    wanted, shelf = parse_import(argument), context.studio.shelf
    name = wanted.said.get(NAME, "")
    if is_address(wanted.what):
        yield from _from_address(wanted, shelf)
    elif (path := find_local_path(wanted.what)) is None:
        folder = yield from download_folder(_on_hub(wanted.what, shelf), name, shelf)
        yield from _listed(shelf, folder, name or folder.name, wanted.values)
    elif has_several_models(path):
        yield from _several(path, wanted, shelf)
    else:
        yield from _listed(shelf, path, name or get_existing_name(path, shelf), wanted.values)


def _from_address(wanted: ImportRequest, shelf: ModelRegistry) -> Events[None]:
    name = wanted.said.get(NAME, "")
    arrived = yield from download_file(wanted.what, name, shelf, ema=wanted.ema)
    name = name or arrived.path.stem
    if arrived.vae:
        yield Note(
            text=f"{arrived.path} is a VAE; !vae {quote_value(arrived.path.stem)} paints with it"
        )
        return
    said = {"prediction": arrived.prediction} if arrived.prediction else {}
    yield from _listed(shelf, arrived.path, name, wanted.values | said)


def _several(folder: Path, wanted: ImportRequest, shelf: ModelRegistry) -> Events[None]:
    """All that a folder of models holds."""
    offer = scan_folder(folder)
    yield from (Note(text=line) for line in offer.describe_left_out())
    if not offer.models:
        raise ModelError(f"{folder} holds no model", f"a model is a folder with {INDEX}, or a file")
    if len(offer.models) > 1:
        refuse_options(folder, len(offer.models), wanted.options)
    for name, card in offer.models.items():
        try:
            name = wanted.said.get(NAME) or get_existing_name(card.path, shelf, name)
            yield from _listed(shelf, card.path, name, wanted.values)
        except DreamError as error:
            if wanted.options:
                raise
            yield Note(text=f"left out: {error}")


def _listed(shelf: ModelRegistry, path: Path, name: str, values: Mapping[str, Any]) -> Events[None]:
    """The model in models.toml, if anything has to be said there. Raises ModelError."""
    there = shelf.find_paths().get(name)
    if there is not None and not there.samefile(path):
        raise ModelError(f"there is a model {name} already, in {there}", "give it another --name")
    card = read_model(name, path, lambda complaint: None)
    if "ema" in values and not card.averages:
        raise ModelError(f"{path} holds no running averages of its training", "leave out --ema")
    if there is None:
        values = {"path": path, **values}
    if values:
        set_values(shelf.models_dirs, name, values)
    size = f"{card.width}x{card.height}, {format_bytes(measure_bytes(path))}"
    yield Note(
        text=f"{name} is here: {describe_family(card)}, {size}; "
        f"!switch {quote_value(name)} paints with it"
    )
    if card.averages and "ema" not in values:
        yield Note(
            text="it holds the running averages of its training too; "
            f"!edit_model {quote_value(name)} --ema paints with those"
        )


def _on_hub(what: str, shelf: ModelRegistry) -> HubId:
    """Raises ModelError for what is no hub id, and where fetching is forbidden."""
    from dream.catalogue.hub import parse_hub_id

    wanted = parse_hub_id(what)
    if wanted is None:
        raise ModelError(
            f"nothing lies at {what}", "name a file, a folder, a URL, or owner/name on the hub"
        )
    require_online(shelf, what)
    return wanted


def import_models_yaml(context: Context, argument: str) -> Events[None]:
    """!import_models_yaml FILE: the models of InvokeAI's list, into models.toml."""
    shelf = context.studio.shelf
    own = shelf.get_configured_default()
    for entry in read_models_yaml(find_named_file(context, argument, "!import_models_yaml")):
        if entry.why_not:
            yield Note(text=f"left out {entry.name}: {entry.why_not}")
            continue
        values = dict(entry.values)
        if own and own != entry.name and values.pop("default", False):
            yield Note(text=f"{own} stays the default, which in that list is {entry.name}")
        set_values(shelf.models_dirs, entry.name, values)
        yield Note(text=f"{entry.name}: {values['path']}")
        if entry.lacks:
            yield Note(
                text=f"{entry.name} paints with its own VAE, for {entry.lacks} is not here; "
                f"!edit_model {quote_value(entry.name)} vae PATH gives it another"
            )


@dataclass(frozen=True)
class ImportRequest:
    """What follows !import_model."""

    what: str
    said: Mapping[str, str]
    """The values of options, by name."""
    everything: bool
    """All that a folder holds, without a question."""
    ema: bool

    @property
    def values(self) -> dict[str, Any]:
        """What models.toml is to say of the model."""
        described = {"description": self.said[DESCRIPTION]} if DESCRIPTION in self.said else {}
        return described | ({"ema": True} if self.ema else {})

    @property
    def options(self) -> list[str]:
        """What is said of one model, and cannot be meant of several."""
        return [*self.said, *([EMA] if self.ema else [])]


def parse_import(argument: str) -> ImportRequest:
    """Raises BadLine."""
    said: dict[str, str] = {}
    flags: set[str] = set()
    places: list[str] = []
    rest = iter(split_words(argument))
    for word in rest:
        name, equals, value = word.text.partition("=")
        if not word.switch:
            places.append(word.text)
        elif name not in IMPORT_OPTIONS:
            raise BadLine(f"!import_model has no {word.text}", 0, " ".join(IMPORT_OPTIONS))
        elif not IMPORT_OPTIONS[name].nargs[1]:
            flags.add(name)
        else:
            said[name] = value if equals else next((w.text for w in rest), "")
            if not said[name]:
                raise BadLine(f"{name} takes words, but nothing follows")
    if not places:
        raise BadLine("!import_model takes a file, a folder, a URL, or owner/name on the hub")
    return ImportRequest(" ".join(places), said, everything=ALL in flags, ema=EMA in flags)


def get_default_name(what: str, shelf: ModelRegistry) -> str:
    """What a model is called here if nobody says otherwise; empty where only a server would know.
    Raises ModelError for what is not on this machine and cannot be fetched."""
    if is_address(what):
        require_online(shelf, what)
        return get_model_name(parse_file_name(what))
    path = find_local_path(what)
    return _on_hub(what, shelf).name if path is None else get_existing_name(path, shelf)


def find_local_path(what: str) -> Path | None:
    """The file or folder on this machine that is meant, from the root; None for what is none."""
    try:
        path = parse_path(what)
    except BadLine:
        return None
    return normalize_path(path) if path_exists_at(path) else None


def get_existing_name(path: Path, shelf: ModelRegistry, otherwise: str = "") -> str:
    """What a file or folder is called already, or else would be."""
    listed = (name for name, there in shelf.find_paths().items() if there.samefile(path))
    return next(listed, otherwise or (path.name if path.is_dir() else path.stem))
