"""Commands by which models arrive: from the disk, an address, the hub, InvokeAI's list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from dream.catalogue import Shelf
from dream.catalogue.edit import say
from dream.catalogue.folders import read_model
from dream.catalogue.found import FILES, INDEX, find_models
from dream.catalogue.invokeai import read_models_yaml
from dream.catalogue.places import writable_dir
from dream.commands.base import Context, file_named
from dream.commands.download import fetched
from dream.commands.models import bytes_on_disk, kind_of, size_of
from dream.errors import BadLine, DreamError, ModelError
from dream.events import Events, Note
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
    wanted = parsed(argument)
    what, said, shelf = wanted.what, wanted.said, context.studio.shelf
    if is_address(what):
        path = yield from _from_address(what, shelf)
    elif (here := Path(what).expanduser()).exists():
        path = here.absolute()
    else:
        path = yield from _from_hub(what, said.get(NAME, ""), shelf)
    if path.is_dir() and not (path / INDEX).is_file():
        yield from _several(path, shelf)
    else:
        values = {"description": said[DESCRIPTION]} if DESCRIPTION in said else {}
        name = said.get(NAME) or _name(path)
        yield from _listed(shelf, path, name, values | ({"ema": True} if wanted.ema else {}))


def _several(folder: Path, shelf: Shelf) -> Events[None]:
    """All that a folder of models holds."""
    found = find_models((folder,))
    if not found:
        raise ModelError(f"{folder} holds no model", f"a model is a folder with {INDEX}, or a file")
    for name, path in found.items():
        try:
            yield from _listed(shelf, path, name, {})
        except DreamError as error:
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


def _from_address(url: str, shelf: Shelf) -> Events[Path]:
    from dream.catalogue.fetch import fetch

    name = _file_at(url)
    _allowed(shelf, url)
    # On the hub's pages a file's name leads to a page about it.
    address = url.replace("/blob/", "/resolve/", 1) if "//huggingface.co/" in url else url
    target = writable_dir(shelf.models_dirs) / name
    yield from fetched(lambda on_progress, _: fetch(address, target, on_progress=on_progress))
    return target


def _file_at(url: str) -> str:
    """The name of the file. Raises BadLine."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    if Path(name).suffix not in FILES or name != Path(name).name:
        raise BadLine(f"{url} does not end in the name of a {' or '.join(FILES)} file")
    return name


def _on_hub(what: str, shelf: Shelf) -> HubId:
    """Raises ModelError for what is no hub id, and where fetching is forbidden."""
    from dream.catalogue.hub import hub_id

    wanted = hub_id(what)
    if wanted is None:
        raise ModelError(
            f"nothing lies at {what}", "name a file, a folder, a URL, or owner/name on the hub"
        )
    _allowed(shelf, what)
    return wanted


def _from_hub(what: str, name: str, shelf: Shelf) -> Events[Path]:
    from dream.catalogue.hub import download

    wanted = _on_hub(what, shelf)
    folder = writable_dir(shelf.models_dirs) / (name or wanted.name)
    yield from fetched(lambda on_progress, say: download(wanted, folder, on_progress, say))
    return folder


def _allowed(shelf: Shelf, what: str) -> None:
    if shelf.offline:
        raise ModelError(
            f"{what} is not on this machine, and --offline forbids to fetch it",
            "start dream without --offline and HF_HUB_OFFLINE",
        )


def import_models_yaml(context: Context, argument: str) -> Events[None]:
    """!import_models_yaml FILE: the models of InvokeAI's list, into models.toml."""
    shelf = context.studio.shelf
    for entry in read_models_yaml(file_named(context, argument, "!import_models_yaml")):
        if entry.why_not:
            yield Note(text=f"left out {entry.name}: {entry.why_not}")
            continue
        say(shelf.models_dirs, entry.name, entry.values)
        yield Note(text=f"{entry.name}: {entry.values['path']}")


@dataclass(frozen=True)
class Wanted:
    """What follows !import_model."""

    what: str
    said: Mapping[str, str]
    """The values of options, by name."""
    everything: bool
    """All that a folder holds, without a question."""
    ema: bool


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
    """What a model is called here if nobody says otherwise. Raises BadLine, and ModelError for what
    is not on this machine and cannot be fetched."""
    if is_address(what):
        _allowed(shelf, what)
        return Path(_file_at(what)).stem
    path = Path(what).expanduser()
    if path.exists():
        listed = (name for name, there in shelf.places().items() if there.samefile(path))
        return next(listed, _name(path.absolute()))
    return _on_hub(what, shelf).name


def is_address(what: str) -> bool:
    """Whether it is to be fetched from a URL."""
    return what.startswith(("http://", "https://"))


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem
