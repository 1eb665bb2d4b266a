"""Commands by which models arrive: from the disk, an address, the hub, InvokeAI's list."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from dream.catalogue import Shelf
from dream.catalogue.edit import say
from dream.catalogue.folders import read_model
from dream.catalogue.found import FILES, INDEX, find_models
from dream.catalogue.invokeai import read_models_yaml
from dream.catalogue.places import writable_dir
from dream.commands.base import Context, Edit, Page, file_named
from dream.commands.models import bytes_on_disk, size_of
from dream.errors import BadLine, DreamError, ModelError
from dream.events import Events, Note, Step
from dream.line import words
from dream.line.words import spell

if TYPE_CHECKING:
    from dream.catalogue.fetch import OnProgress

# What goes on a network comes with the first download, not with the prompt.

_OPTIONS = ("--name", "--description")
_ALL = "--all"
_OFTEN = 0.1
"""Seconds between two words about a download."""


def import_model(context: Context, argument: str) -> Events[None]:
    """!import_model WHAT [--name N] [--description "…"]: a model from wherever it is, into
    models.toml. Files on this machine stay where they are."""
    what, said, everything = _parsed(argument)
    shelf = context.studio.shelf
    if what.startswith(("http://", "https://")):
        path = yield from _from_address(what, shelf)
    elif (here := Path(what).expanduser()).exists():
        path = here.absolute()
    else:
        path = yield from _from_hub(what, said.get("--name", ""), shelf)
    if path.is_dir() and not (path / INDEX).is_file():
        yield from _several(path, everything, shelf)
    else:
        yield _listed(shelf, path, said.get("--name") or _name(path), said.get("--description"))


def _several(folder: Path, everything: bool, shelf: Shelf) -> Events[None]:
    """A folder of models: what it holds is offered, or all of it taken."""
    found = find_models((folder,))
    if not found:
        raise ModelError(f"{folder} holds no model", f"a model is a folder with {INDEX}, or a file")
    if not everything:
        yield Page(lines=tuple((f"  {name}", str(path)) for name, path in found.items()))
        yield Edit(text=f"!import_model {spell(str(folder))} {_ALL}")
        return
    for name, path in found.items():
        try:
            yield _listed(shelf, path, name, None)
        except DreamError as error:
            yield Note(text=f"left out: {error}")


def _listed(shelf: Shelf, path: Path, name: str, description: str | None) -> Note:
    """The model in models.toml, if anything has to be said there. Raises ModelError."""
    there = shelf.places().get(name)
    if there is not None and not there.samefile(path):
        raise ModelError(f"there is a model {name} already, in {there}", "give it another --name")
    card = read_model(name, path, lambda complaint: None)
    values: dict[str, Any] = {} if there is not None else {"path": path}
    if description is not None:
        values["description"] = description
    if values:
        say(shelf.models_dirs, name, values)
    size = f"{card.width}x{card.height}, {size_of(bytes_on_disk(path))}"
    return Note(text=f"{name} is here: {card.family}, {size}; !switch {spell(name)} paints with it")


def _from_address(url: str, shelf: Shelf) -> Events[Path]:
    from dream.catalogue.fetch import fetch

    name = unquote(urlsplit(url).path.rpartition("/")[2])
    if Path(name).suffix not in FILES or name != Path(name).name:
        raise BadLine(f"{url} does not end in the name of a {' or '.join(FILES)} file")
    _allowed(shelf, url)
    # On the hub's pages a file's name leads to a page about it.
    address = url.replace("/blob/", "/resolve/", 1) if "//huggingface.co/" in url else url
    target = writable_dir(shelf.models_dirs) / name
    yield from _fetched(lambda on_progress, _: fetch(address, target, on_progress=on_progress))
    return target


def _from_hub(what: str, name: str, shelf: Shelf) -> Events[Path]:
    from dream.catalogue.hub import download, hub_id

    wanted = hub_id(what)
    if wanted is None:
        raise ModelError(
            f"nothing lies at {what}", "name a file, a folder, a URL, or owner/name on the hub"
        )
    _allowed(shelf, what)
    folder = writable_dir(shelf.models_dirs) / (name or wanted.name)
    yield from _fetched(lambda on_progress, say: download(wanted, folder, on_progress, say))
    return folder


def _allowed(shelf: Shelf, what: str) -> None:
    if shelf.offline:
        raise ModelError(
            f"{what} is not on this machine, and --offline forbids to fetch it",
            "start dream without --offline and HF_HUB_OFFLINE",
        )


class _Unwanted(Exception):
    """Nobody waits for the download any more."""


def _fetched(work: Callable[[OnProgress, Callable[[str], None]], None]) -> Events[None]:
    """A download, in a thread; how far it is, as Steps, and what it says, as Notes. Ctrl-C or
    closing ends it within a moment; what has arrived is kept. Raises what the work raises."""
    told: SimpleQueue[Step | Note | BaseException | None] = SimpleQueue()
    closed, last = Event(), [0.0]

    def on_progress(arrived: int, of: int) -> None:
        if closed.is_set():
            raise _Unwanted
        if (now := time.monotonic()) - last[0] > _OFTEN or arrived == of:
            last[0] = now
            told.put(Step(stage="fetch", step=arrived, steps=of, picture=1, pictures=1))

    def run() -> None:
        try:
            work(on_progress, lambda text: told.put(Note(text=text)))
            told.put(None)
        except BaseException as error:
            told.put(error)

    Thread(target=run, name="fetch", daemon=True).start()
    try:
        while (happening := told.get()) is not None:
            if isinstance(happening, BaseException):
                raise happening
            yield happening
    finally:
        closed.set()


def import_models_yaml(context: Context, argument: str) -> Events[None]:
    """!import_models_yaml FILE: the models of InvokeAI's list, into models.toml."""
    shelf = context.studio.shelf
    for entry in read_models_yaml(file_named(context, argument, "!import_models_yaml")):
        if entry.why_not:
            yield Note(text=f"left out {entry.name}: {entry.why_not}")
            continue
        say(shelf.models_dirs, entry.name, entry.values)
        yield Note(text=f"{entry.name}: {entry.values['path']}")


def _parsed(argument: str) -> tuple[str, Mapping[str, str], bool]:
    """What to import, the options' values, and whether all of a folder is meant."""
    said: dict[str, str] = {}
    places: list[str] = []
    everything = False
    rest = iter(words(argument))
    for word in rest:
        name, equals, value = word.text.partition("=")
        if word.switch and name in _OPTIONS:
            said[name] = value if equals else next((w.text for w in rest), "")
            if not said[name]:
                raise BadLine(f"{name} takes words, but nothing follows")
        elif word.text == _ALL:
            everything = True
        elif word.switch:
            raise BadLine(f"!import_model has no {word.text}", 0, " ".join((*_OPTIONS, _ALL)))
        else:
            places.append(word.text)
    if not places:
        raise BadLine("!import_model takes a file, a folder, a URL, or owner/name on the hub")
    return " ".join(places), said, everything


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem
