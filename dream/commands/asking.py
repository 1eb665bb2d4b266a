"""What !import_model asks at a terminal, before it takes its turn among the pictures."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from dream.catalogue import ModelCard, Shelf
from dream.catalogue.folders import read_model
from dream.commands.arrivals import (
    ALL,
    DESCRIPTION,
    EMA,
    NAME,
    Wanted,
    arrives_as,
    called,
    here,
    parsed,
)
from dream.commands.base import Asking, Context, Line, Question
from dream.commands.distant import is_address
from dream.commands.models import kind_of
from dream.commands.several import Offer, holds_several, offered, refuse_options
from dream.line.words import spell, spell_apart


def ask_about_import(context: Context, argument: str) -> Asking:
    """For the name and the description; of a folder that holds several models, which are meant.
    Raises BadLine, ModelError for what is to be refused anyway."""
    wanted, shelf = parsed(argument), context.studio.shelf
    path = None if is_address(wanted.what) else here(wanted.what)
    if path is not None and holds_several(path):
        if not wanted.everything:
            return (yield from _ask_which(path, wanted, shelf))
        return (_line(wanted),)
    return (yield from _ask_about_one(wanted, shelf))


def _ask_about_one(wanted: Wanted, shelf: Shelf) -> Asking:
    path = None if is_address(wanted.what) else here(wanted.what)
    if path is not None:
        read_model("it", path, lambda complaint: None)
    proposed = arrives_as(wanted.what, shelf)
    name = wanted.said.get(NAME) or (yield from _ask_for_name(path, proposed, shelf))
    description = wanted.said.get(DESCRIPTION)
    if description is None:
        description = yield Question("and what is it, in a few words?")
    said = {NAME: name, DESCRIPTION: description}
    return (_line(replace(wanted, said={key: said[key] for key in said if said[key]})),)


def _ask_for_name(path: Path | None, proposed: str, shelf: Shelf) -> Generator[Question, str, str]:
    """One that is free, or this model's. None at all, where a server's own is to be taken."""
    question = "what is it called?" if proposed else "what is it called? or nothing, for its own"
    about: tuple[Line, ...] = ()
    while True:
        answer = yield Question(question, proposed, about=about)
        there = shelf.places().get(answer)
        free = there is None or (path is not None and there.samefile(path))
        if free and (answer or not proposed):
            return answer
        about = (f"there is a model {answer} already, in {there}",) if answer else ()


def _ask_which(folder: Path, wanted: Wanted, shelf: Shelf) -> Asking:
    wanted = replace(wanted, what=str(folder))
    offer = offered(folder)
    if not offer.models:
        return (_line(replace(wanted, everything=True)),)  # which will say it
    names = sorted(offer.models)
    if len(names) == 1:
        return (yield from _ask_about_one(_only(offer.models[names[0]], wanted), shelf))
    listed = (*_rows(names, offer), *offer.told())
    about = listed
    while True:
        answer = yield Question("which of these? numbers, or all", "all", about=about)
        said = answer.replace(",", " ").split()
        if said == ["all"]:
            return (_line(replace(wanted, everything=True)),)
        if said and all(word.isdecimal() and 0 < int(word) <= len(names) for word in said):
            break
        about = (*listed, f"“{answer}” is not among them")
    chosen = [names[int(word) - 1] for word in dict.fromkeys(said)]
    if len(chosen) == 1:
        return (yield from _ask_about_one(_only(offer.models[chosen[0]], wanted), shelf))
    refuse_options(folder, len(chosen), wanted.options)
    cards = {called(offer.models[name].path, shelf, name): offer.models[name] for name in chosen}
    return tuple(
        _line(replace(_only(card, wanted), said={NAME: name})) for name, card in cards.items()
    )


def _rows(names: Sequence[str], offer: Offer) -> tuple[Line, ...]:
    """The offer, numbered."""
    cards = [offer.models[name] for name in names]
    wide = max(len(kind_of(card)) for card in cards)
    rows = zip(names, cards, strict=True)
    return tuple(
        (f"  {number}  {name}", f"{kind_of(card):{wide}}  {card.path}")
        for number, (name, card) in enumerate(rows, 1)
    )


def _only(card: ModelCard, wanted: Wanted) -> Wanted:
    return replace(wanted, what=str(card.path), everything=False)


def _line(wanted: Wanted) -> str:
    """The command, saying it all."""
    options = [f"{name}={spell(value)}" for name, value in wanted.said.items()]
    flags = [EMA] * wanted.ema + [ALL] * wanted.everything
    return " ".join(("!import_model", spell_apart(wanted.what), *options, *flags))
