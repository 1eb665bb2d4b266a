"""What !import_model asks at a terminal, before it takes its turn among the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dream.catalogue import Shelf
from dream.catalogue.folders import read_model
from dream.catalogue.found import INDEX, find_models
from dream.commands.arrivals import (
    ALL,
    DESCRIPTION,
    NAME,
    Wanted,
    arrives_as,
    is_address,
    parsed,
)
from dream.commands.base import Asking, Context, Line, Question
from dream.line.words import spell, spell_apart


def ask_about_import(context: Context, argument: str) -> Asking:
    """For the name and the description; of a folder that holds several models, which are meant.
    Raises BadLine, ModelError for what is to be refused anyway."""
    wanted, shelf = parsed(argument), context.studio.shelf
    folder = Path(wanted.what).expanduser()
    if not is_address(wanted.what) and folder.is_dir() and not (folder / INDEX).is_file():
        if not wanted.everything:
            return (yield from _ask_which(folder.absolute(), shelf))
        return (_line(wanted.what, ema=wanted.ema, everything=True),)
    return (yield from _ask_about_one(wanted, shelf))


def _ask_about_one(wanted: Wanted, shelf: Shelf) -> Asking:
    path = Path(wanted.what).expanduser()
    if not is_address(wanted.what) and path.exists():
        read_model("it", path, lambda complaint: None)
    name, proposed = wanted.said.get(NAME, ""), arrives_as(wanted.what, shelf)
    about: tuple[Line, ...] = ()
    while not name:
        answer = yield Question("what is it called?", proposed, about=about)
        there = shelf.places().get(answer)
        if there is None or (path.exists() and there.samefile(path)):
            name = answer
        about = (f"there is a model {answer} already, in {there}",) if answer else ()
    description = wanted.said.get(DESCRIPTION)
    if description is None:
        description = yield Question("and what is it, in a few words?")
    said = {NAME: name, **({DESCRIPTION: description} if description else {})}
    return (_line(wanted.what, said, ema=wanted.ema),)


def _ask_which(folder: Path, shelf: Shelf) -> Asking:
    found = find_models((folder,))
    if not found:
        return (_line(str(folder), everything=True),)  # which will say it
    names = sorted(found)
    listed: tuple[Line, ...] = tuple(
        (f"  {number}  {name}", str(found[name])) for number, name in enumerate(names, 1)
    )
    about = listed
    while True:
        answer = yield Question("which of these? numbers, or all", "all", about=about)
        said = answer.replace(",", " ").split()
        if said == ["all"]:
            return (_line(str(folder), everything=True),)
        if said and all(word.isdecimal() and 0 < int(word) <= len(names) for word in said):
            break
        about = (*listed, f"“{answer}” is not among them")
    chosen = [names[int(word) - 1] for word in dict.fromkeys(said)]
    if len(chosen) == 1:
        one = Wanted(str(found[chosen[0]]), {}, everything=False, ema=False)
        return (yield from _ask_about_one(one, shelf))
    return tuple(_line(str(found[name]), {NAME: name}) for name in chosen)


def _line(
    what: str, said: Mapping[str, str] | None = None, *, ema: bool = False, everything: bool = False
) -> str:
    """The command, saying it all."""
    options = [f"{name}={spell(value)}" for name, value in (said or {}).items()]
    flags = ["--ema"] * ema + [ALL] * everything
    return " ".join(("!import_model", spell_apart(what), *options, *flags))
