"""What !import_model asks at a terminal, before it takes its turn among the pictures."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from dream.catalogue import ModelInfo, ModelRegistry
from dream.catalogue.read_model_info import read_model
from dream.commands.command import Context, Line, Question, Questions
from dream.commands.import_folder import FolderScan, has_several_models, refuse_options, scan_folder
from dream.commands.import_model import (
    ALL,
    DESCRIPTION,
    EMA,
    NAME,
    ImportRequest,
    find_local_path,
    get_default_name,
    get_existing_name,
    parse_import,
)
from dream.commands.import_remote import is_address
from dream.commands.model_text import describe_family
from dream.line.words import quote_separate_value, quote_value


def ask_about_import(context: Context, argument: str) -> Questions:
    """For the name and the description; of a folder that holds several models, which are meant.
    Raises BadLine, ModelError for what is to be refused anyway."""
    wanted, shelf = parse_import(argument), context.studio.shelf
    path = None if is_address(wanted.what) else find_local_path(wanted.what)
    if path is not None and has_several_models(path):
        if not wanted.everything:
            return (yield from _ask_which(path, wanted, shelf))
        return (_line(wanted),)
    return (yield from _ask_about_one(wanted, shelf))


def _ask_about_one(wanted: ImportRequest, shelf: ModelRegistry) -> Questions:
    path = None if is_address(wanted.what) else find_local_path(wanted.what)
    if path is not None:
        read_model("it", path, lambda complaint: None)
    proposed = get_default_name(wanted.what, shelf)
    name = wanted.said.get(NAME) or (yield from _ask_for_name(path, proposed, shelf))
    description = wanted.said.get(DESCRIPTION)
    if description is None:
        description = yield Question("and what is it, in a few words?")
    said = {NAME: name, DESCRIPTION: description}
    return (_line(replace(wanted, said={key: said[key] for key in said if said[key]})),)


def _ask_for_name(
    path: Path | None, proposed: str, shelf: ModelRegistry
) -> Generator[Question, str, str]:
    """One that is free, or this model's. None at all, where a server's own is to be taken."""
    question = "what is it called?" if proposed else "what is it called? or nothing, for its own"
    about: tuple[Line, ...] = ()
    while True:
        answer = yield Question(question, proposed, about=about)
        there = shelf.find_paths().get(answer)
        free = there is None or (path is not None and there.samefile(path))
        if free and (answer or not proposed):
            return answer
        about = (f"there is a model {answer} already, in {there}",) if answer else ()


def _ask_which(folder: Path, wanted: ImportRequest, shelf: ModelRegistry) -> Questions:
    wanted = replace(wanted, what=str(folder))
    offer = scan_folder(folder)
    if not offer.models:
        return (_line(replace(wanted, everything=True)),)  # which will say it
    names = sorted(offer.models)
    if len(names) == 1:
        return (yield from _ask_about_one(_only(offer.models[names[0]], wanted), shelf))
    listed = (*_rows(names, offer), *offer.describe_left_out())
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
    cards = {
        get_existing_name(offer.models[name].path, shelf, name): offer.models[name]
        for name in chosen
    }
    return tuple(
        _line(replace(_only(card, wanted), said={NAME: name})) for name, card in cards.items()
    )


def _rows(names: Sequence[str], offer: FolderScan) -> tuple[Line, ...]:
    """The offer, numbered."""
    cards = [offer.models[name] for name in names]
    wide = max(len(describe_family(card)) for card in cards)
    rows = zip(names, cards, strict=True)
    return tuple(
        (f"  {number}  {name}", f"{describe_family(card):{wide}}  {card.path}")
        for number, (name, card) in enumerate(rows, 1)
    )


def _only(card: ModelInfo, wanted: ImportRequest) -> ImportRequest:
    return replace(wanted, what=str(card.path), everything=False)


def _line(wanted: ImportRequest) -> str:
    """The command, saying it all."""
    options = [f"{name}={quote_value(value)}" for name, value in wanted.said.items()]
    flags = [EMA] * wanted.ema + [ALL] * wanted.everything
    return " ".join(("!import_model", quote_separate_value(wanted.what), *options, *flags))
