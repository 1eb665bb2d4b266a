"""Commands by which models arrive: from the disk, an address, the hub, InvokeAI's list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dream.catalogue import Shelf
from dream.catalogue.edit import say
from dream.catalogue.folders import read_model
from dream.catalogue.found import INDEX, plain
from dream.catalogue.invokeai import read_models_yaml
from dream.commands.base import Context, file_named
from dream.commands.distant import allow, bring_file, bring_folder, file_at, is_address, name_of
from dream.commands.models import bytes_on_disk, kind_of, size_of
from dream.commands.several import holds_several, offered, refuse_options
from dream.errors import BadLine, DreamError, ModelError
from dream.events import Events, Note
from dream.file_names import as_path, exists
from dream.flags import SWITCH, Kind, text
from dream.line import words
from dream.line.words import spell

if TYPE_CHECKING:
    from dream.catalogue.hub import HubId

# What goes on a network comes with the first download, not with the prompt.

NAME, DESCRIPTION, EMA, ALL = "--name", "--description", "--ema", "--all"
IMPORT_OPTIONS: Mapping[str, Kind[Any]] = MappingProxyType(
    {
        NAME: text("NAME", "what it is called here"),
        DESCRIPTION: text("WORDS", "a few words for !models"),
        EMA: replace(SWITCH, means="the running averages of its training paint, not the weights"),
        ALL: replace(SWITCH, means="all that a folder holds, without a question"),
    }
)


def import_model(context: Context, argument: str) -> Events[None]:
    """!import_model WHAT [--name N] [--description "…"] [--ema] [--all]: a model from wherever it
    is, into models.toml; of a folder of models all. Files on this machine stay where they are."""
    wanted, shelf = parsed(argument), context.studio.shelf
    name = wanted.said.get(NAME, "")
    if is_address(wanted.what):
        yield from _from_address(wanted, shelf)
    elif (path := here(wanted.what)) is None:
        folder = yield from bring_folder(_on_hub(wanted.what, shelf), name, shelf)
        yield from _listed(shelf, folder, name or folder.name, wanted.values)
    elif holds_several(path):
        yield from _several(path, wanted, shelf)
    else:
        yield from _listed(shelf, path, name or called(path, shelf), wanted.values)


def _from_address(wanted: Wanted, shelf: Shelf) -> Events[None]:
    name = wanted.said.get(NAME, "")
    arrived = yield from bring_file(wanted.what, name, shelf, ema=wanted.ema)
    name = name or arrived.path.stem
    if arrived.vae:
        yield Note(text=f"{arrived.path} is a VAE; !vae {spell(arrived.path.stem)} paints with it")
        return
    said = {"prediction": arrived.prediction} if arrived.prediction else {}
    yield from _listed(shelf, arrived.path, name, wanted.values | said)


def _several(folder: Path, wanted: Wanted, shelf: Shelf) -> Events[None]:
    """All that a folder of models holds."""
    offer = offered(folder)
    yield from (Note(text=line) for line in offer.told())
    if not offer.models:
        raise ModelError(f"{folder} holds no model", f"a model is a folder with {INDEX}, or a file")
    if len(offer.models) > 1:
        refuse_options(folder, len(offer.models), wanted.options)
    for name, card in offer.models.items():
        try:
            name = wanted.said.get(NAME) or called(card.path, shelf, name)
            yield from _listed(shelf, card.path, name, wanted.values)
        except DreamError as error:
            if wanted.options:
                raise
            yield Note(text=f"left out: {error}")


def _listed(shelf: Shelf, path: Path, name: str, values: Mapping[str, Any]) -> Events[None]:
    """The model in models.toml, if anything has to be said there. Raises ModelError."""
    there = shelf.places().get(name)
    if there is not None and not there.samefile(path):
        raise ModelError(f"there is a model {name} already, in {there}", "give it another --name")
    card = read_model(name, path, lambda complaint: None)
    if "ema" in values and not card.averages:
        raise ModelError(f"{path} holds no running averages of its training", "leave out --ema")
    if there is None:
        values = {"path": path, **values}
    if values:
        say(shelf.models_dirs, name, values)
    size = f"{card.width}x{card.height}, {size_of(bytes_on_disk(path))}"
    yield Note(
        text=f"{name} is here: {kind_of(card)}, {size}; !switch {spell(name)} paints with it"
    )
    if card.averages and "ema" not in values:
        yield Note(
            text="it holds the running averages of its training too; "
            f"!edit_model {spell(name)} --ema paints with those"
        )


def _on_hub(what: str, shelf: Shelf) -> HubId:
    """Raises ModelError for what is no hub id, and where fetching is forbidden."""
    from dream.catalogue.hub import hub_id

    wanted = hub_id(what)
    if wanted is None:
        raise ModelError(
            f"nothing lies at {what}", "name a file, a folder, a URL, or owner/name on the hub"
        )
    allow(shelf, what)
    return wanted


def import_models_yaml(context: Context, argument: str) -> Events[None]:
    """!import_models_yaml FILE: the models of InvokeAI's list, into models.toml."""
    shelf = context.studio.shelf
    own = shelf.chosen()
    for entry in read_models_yaml(file_named(context, argument, "!import_models_yaml")):
        if entry.why_not:
            yield Note(text=f"left out {entry.name}: {entry.why_not}")
            continue
        values = dict(entry.values)
        if own and own != entry.name and values.pop("default", False):
            yield Note(text=f"{own} stays the default, which in that list is {entry.name}")
        say(shelf.models_dirs, entry.name, values)
        yield Note(text=f"{entry.name}: {values['path']}")
        if entry.lacks:
            yield Note(
                text=f"{entry.name} paints with its own VAE, for {entry.lacks} is not here; "
                f"!edit_model {spell(entry.name)} vae PATH gives it another"
            )


@dataclass(frozen=True)
class Wanted:
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


def parsed(argument: str) -> Wanted:
    """Raises BadLine."""
    said: dict[str, str] = {}
    flags: set[str] = set()
    places: list[str] = []
    rest = iter(words(argument))
    for word in rest:
        name, equals, value = word.text.partition("=")
        if not word.switch:
            places.append(word.text)
        elif name not in IMPORT_OPTIONS:
            raise BadLine(f"!import_model has no {word.text}", 0, " ".join(IMPORT_OPTIONS))
        elif not IMPORT_OPTIONS[name].takes[1]:
            flags.add(name)
        else:
            said[name] = value if equals else next((w.text for w in rest), "")
            if not said[name]:
                raise BadLine(f"{name} takes words, but nothing follows")
    if not places:
        raise BadLine("!import_model takes a file, a folder, a URL, or owner/name on the hub")
    return Wanted(" ".join(places), said, everything=ALL in flags, ema=EMA in flags)


def arrives_as(what: str, shelf: Shelf) -> str:
    """What a model is called here if nobody says otherwise; empty where only a server would know.
    Raises ModelError for what is not on this machine and cannot be fetched."""
    if is_address(what):
        allow(shelf, what)
        return name_of(file_at(what))
    path = here(what)
    return _on_hub(what, shelf).name if path is None else called(path, shelf)


def here(what: str) -> Path | None:
    """The file or folder on this machine that is meant, from the root; None for what is none."""
    try:
        path = as_path(what)
    except BadLine:
        return None
    return plain(path) if exists(path) else None


def called(path: Path, shelf: Shelf, otherwise: str = "") -> str:
    """What a file or folder is called already, or else would be."""
    listed = (name for name, there in shelf.places().items() if there.samefile(path))
    return next(listed, otherwise or (path.name if path.is_dir() else path.stem))
