"""Commands about models: which there are, which paints, what is said of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dream.catalogue import Shelf
from dream.catalogue.cards import ModelCard
from dream.catalogue.edit import forget
from dream.catalogue.found import INDEX, in_hub_cache
from dream.catalogue.places import shipped_models, writable_dir
from dream.catalogue.shelf import SHIPPED
from dream.catalogue.upscalers import architecture_of
from dream.commands.base import Asking, Context, Line, Page, Question
from dream.errors import BadLine, DreamError, ModelError
from dream.events import Events, Loading, Note, Refused
from dream.flags import SWITCH, Kind
from dream.line import words
from dream.line.words import spell, spell_apart
from dream.request import NO_VAE
from dream.studio import Studio

Row = tuple[str, str, str, str]
"""Of a table: state, kind, size on disk and a description."""

NOTHING = NO_VAE
"""What takes a value away."""

FILES, YES = "--files", "--yes"
DELETE_OPTIONS: Mapping[str, Kind[Any]] = MappingProxyType(
    {
        FILES: replace(SWITCH, means="delete its files too, which must lie in a models folder"),
        YES: replace(SWITCH, means="the answer to the question, where nobody can be asked"),
    }
)


def models(context: Context, argument: str) -> Events[None]:
    """!models: every model, `*` before the one that paints; whether it is in memory, its family,
    its size on disk; every upscaler that is here; and what is wrong with models.toml and files."""
    studio = context.studio
    loaded, active = _in_memory(studio), active_model(studio)
    cards = studio.shelf.models()
    rows = [_row(card, active, card.name in loaded) for card in cards]
    lines = _table([f"{'*' if card.name == active else ' '} {card.name}" for card in cards], rows)
    upscalers, wrong = _upscalers(studio.shelf)
    if upscalers:
        lines = [*lines, "upscalers:", *upscalers]
    complaints = (*studio.shelf.complaints(), *wrong)
    yield Page(lines=(*lines, *(f"  ! {complaint}" for complaint in complaints)))


def _table(heads: list[str], rows: list[Row]) -> list[Line]:
    """State, kind, size and description, in columns."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (head, f"{state:{wide[0]}}  {kind:{wide[1]}}  {size:>{wide[2]}}  {words}".rstrip())
        for head, (state, kind, size, words) in zip(heads, rows, strict=True)
    ]


def _upscalers(shelf: Shelf) -> tuple[list[Line], list[str]]:
    """Those that are here, and what lies among them that is none."""
    heads: list[str] = []
    rows: list[Row] = []
    wrong: list[str] = []
    for card in shelf.upscalers():
        if not card.here:
            continue
        try:
            kind = architecture_of(card)
        except DreamError as error:
            wrong.append(str(error))
            continue
        heads.append(f"  {card.name}")
        rows.append(("", kind, size_of(bytes_on_disk(card.path)), card.description))
    return _table(heads, rows), wrong


def _row(card: ModelCard, active: str, loaded: bool) -> Row:
    state = "in memory" if loaded else "not loaded"
    if loaded and card.name == active:
        state = "active"
    return state, kind_of(card), size_of(bytes_on_disk(card.path)), card.description


def _in_memory(studio: Studio) -> set[str]:
    """The names of the models in memory, as they are called today."""
    names = set()
    for name in studio.engine.loaded():
        with suppress(DreamError):
            names.add(studio.shelf.model(name).name)
    return names


def switch(context: Context, argument: str) -> Events[None]:
    """!switch NAME: load a model, and paint with it from now on; if it cannot be loaded, all stays
    as it was."""
    studio = context.studio
    card = studio.shelf.model(one_name(argument, "!switch"))
    former = active_model(studio)
    try:
        with closing(studio.engine.load(card.name)) as happenings:
            for happening in happenings:
                if isinstance(happening, Note | Loading):
                    yield happening
    except DreamError as error:
        yield Refused(error=error, line=f"!switch {argument}")
        yield Note(text=f"{former} goes on painting")
        studio.warm()  # it may have made room
        return
    studio.base = replace(studio.base, model=card.name)
    yield Note(text=f"{card.name} paints from now on; {card.width}x{card.height}, {kind_of(card)}")


def vae(context: Context, argument: str) -> Events[None]:
    """!vae NAME|none: the VAE for all lines that follow, in place of the model's own."""
    studio = context.studio
    if not argument.strip():
        names = studio.shelf.vaes()
        now = studio.base.vae or "what the model's card says, or its own"
        yield Page(lines=(f"now: {now}", *(f"  {name}" for name in names)))
        return
    name = one_name(argument, "!vae")
    if name != NOTHING:
        studio.shelf.vae(name)
    studio.base = replace(studio.base, vae=name)
    yield Note(text=f"{name if name != NOTHING else 'each model with its own VAE'} from now on")


def del_model(context: Context, argument: str) -> Events[None]:
    """!del_model NAME [--files [--yes]]: forget what models.toml says of a model; with --files, and
    only in the models folders, delete its files too. --yes is what its person answered; a line from
    elsewhere that lacks it deletes nothing."""
    shelf = context.studio.shelf
    name, path, files, sure = _to_delete(context.studio, argument)
    inside = _is_ours(path, shelf)
    if files:
        _check_deletable(context.studio, name, path, inside)
        if not sure:
            size = size_of(bytes_on_disk(path))
            raise BadLine(f"this deletes {path} ({size})", hint=f"{FILES} {YES} confirms it")
        _delete(path)
        forget(shelf.models_dirs, name)
        yield Note(text=f"{name} is gone, and {path} too")
        return
    if forget(shelf.models_dirs, name):
        yield Note(text=f"models.toml says nothing of {name} any more; {path} stays")
    if inside:
        yield Note(text=f"the same with --files deletes {path} ({size_of(bytes_on_disk(path))})")


def ask_about_deletion(context: Context, argument: str) -> Asking:
    """Before files are deleted, their person says yes to it. Raises what the command raises."""
    name, path, files, _ = _to_delete(context.studio, argument)
    inside = _is_ours(path, context.studio.shelf)
    if files:
        _check_deletable(context.studio, name, path, inside)
    listed = f"!del_model {spell_apart(name)}"
    if not inside or path == shipped_models() / SHIPPED or _not_a_model(context.studio, path):
        return (listed,)
    too = "" if files else " too"
    size = size_of(bytes_on_disk(path))
    answer = yield Question(f"delete {path} ({size}){too}?", keys="yn")
    if answer == "y":
        return (f"{listed} {FILES} {YES}",)
    return () if files else (listed,)


def _to_delete(studio: Studio, argument: str) -> tuple[str, Path, bool, bool]:
    """The model's name, its place, whether its files are meant, and whether that was confirmed.
    Raises BadLine, ModelError."""
    said = [word.text for word in words(argument)]
    named = " ".join(word for word in said if word not in DELETE_OPTIONS)
    name = listed_name(studio.shelf, one_name(named, "!del_model"))
    if name == active_model(studio):
        raise ModelError(f"{name} is the model that paints", "!switch to another one first")
    return name, studio.shelf.places()[name], FILES in said, YES in said


def _is_ours(path: Path, shelf: Shelf) -> bool:
    """Whether a model lies in a models folder: it itself, not what it may be a link to."""
    here = path.parent.resolve()
    return any(here.is_relative_to(folder.resolve()) for folder in shelf.models_dirs)


def _not_a_model(studio: Studio, path: Path) -> str:
    """Why a folder that models.toml or a models folder offers as a model is not to be deleted as
    one; empty for a model. Whoever made models.toml chose the path."""
    if in_hub_cache(path):
        return "it belongs to the hub's cache, which other programs use too"
    if path.is_symlink() or not path.is_dir():
        return ""  # a single file, or a link, of which the link goes
    if not (path / INDEX).is_file():
        return f"it has no {INDEX}"
    whole = path.resolve()
    for place in (*studio.shelf.models_dirs, studio.outdir, Path.cwd(), Path.home()):
        if place.resolve().is_relative_to(whole):
            return f"{place} lies in it"
    return ""


def _check_deletable(studio: Studio, name: str, path: Path, inside: bool) -> None:
    if not inside:
        raise ModelError(
            f"{path} lies in no models folder, and is left alone",
            f"!del_model {spell(name)} takes it from models.toml",
        )
    if path == shipped_models() / SHIPPED:
        raise ModelError(f"{name} comes with dream, and stays")
    if reason := _not_a_model(studio, path):
        raise ModelError(
            f"{path} is no folder of one model: {reason}", "delete by hand what you do not need"
        )


def _delete(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise ModelError(f"{path} cannot be deleted: {error.strerror or error}") from error


def optimize_model(context: Context, argument: str) -> Events[None]:
    """!optimize_model NAME: a single file, written once more as a folder in diffusers layout.
    The file stays, and what was made with it can be made again."""
    studio, shelf = context.studio, context.studio.shelf
    card = shelf.model(one_name(argument, "!optimize_model"))
    if card.path.is_dir():
        raise ModelError(f"{card.name} is a folder in diffusers layout already")
    folder = writable_dir(shelf.models_dirs) / f"{card.path.stem}-diffusers"
    if folder.exists():
        raise ModelError(f"{folder} is there already", f"!switch {spell(folder.name)}")
    with closing(studio.engine.convert(card.name, folder)) as happenings:
        for happening in happenings:
            if isinstance(happening, Note | Loading):
                yield happening
    size = size_of(bytes_on_disk(folder))
    yield Note(text=f"{folder.name} is {card.name} as a folder ({size}); the file stays")


# ── what several of them need ──────────────────────────────────────────────────────────────────


def active_model(studio: Studio) -> str:
    """The name of the model for lines that name none; empty when there is none at all."""
    try:
        return studio.shelf.model(studio.base.model or studio.shelf.default()).name
    except DreamError:
        return studio.base.model or ""


def one_name(argument: str, command: str) -> str:
    """The name that follows a command; with spaces in it, in quotes or not. Raises BadLine."""
    said = [word.text for word in words(argument)]
    if not said:
        raise BadLine(f"{command} takes the name of a model, but nothing follows")
    return said[0] if len(said) == 1 else argument.strip()


def listed_name(shelf: Shelf, name: str) -> str:
    """The name, if a models folder or models.toml has it. Raises ModelError with near names."""
    if name in shelf.places():
        return name
    return shelf.model(name).name


def kind_of(card: ModelCard) -> str:
    """Family and variant in words: “sd1 inpainting”, “sd1 ema”."""
    return " ".join(filter(None, (card.family, card.variant, "ema" if card.ema else "")))


def bytes_on_disk(path: Path) -> int:
    """Of a file, or of all in a folder; 0 for what cannot be read."""
    return sum(_bytes(file) for file in ([path] if path.is_file() else path.rglob("*")))


def _bytes(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size if file.is_file() else 0
    return 0


def size_of(size: int) -> str:
    """Bytes in words: 5.1 MB, 2.1 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
