"""!del_model: remove a model from models.toml, and its files on request."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dream.catalogue import ModelRegistry
from dream.catalogue.discovery import INDEX, in_hub_cache
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.catalogue.models_toml_writer import remove_entry
from dream.catalogue.registry import SHIPPED
from dream.commands.command import Context, Question, Questions
from dream.commands.model_text import (
    find_listed_name,
    format_bytes,
    get_active_model,
    measure_bytes,
    parse_name,
)
from dream.core.errors import BadLine, ModelError
from dream.core.events import Events, Note
from dream.line import split_words
from dream.line.words import quote_separate_value, quote_value
from dream.options.option_type import BOOLEAN_FLAG, OptionType
from dream.session import Session

FILES_SWITCH, YES = "--files", "--yes"
DELETE_OPTIONS: Mapping[str, OptionType[Any]] = MappingProxyType(
    {
        FILES_SWITCH: replace(
            BOOLEAN_FLAG, expects="delete its files too, which must lie in a models folder"
        ),
        YES: replace(BOOLEAN_FLAG, expects="the answer to the question, where nobody can be asked"),
    }
)


def delete_model(context: Context, argument: str) -> Events[None]:
    """!del_model NAME [--files [--yes]]: forget what models.toml says of a model; with --files, and
    only in the models folders, delete its files too. --yes is what its person answered; a line from
    elsewhere that lacks it deletes nothing."""
    shelf = context.studio.shelf
    name, path, files, sure = _to_delete(context.studio, argument)
    inside = _is_ours(path, shelf)
    if files:
        _check_deletable(context.studio, name, path, inside)
        if not sure:
            size = format_bytes(measure_bytes(path))
            raise BadLine(f"this deletes {path} ({size})", hint=f"{FILES_SWITCH} {YES} confirms it")
        _delete(path)
        remove_entry(shelf.models_dirs, name)
        yield Note(text=f"{name} is gone, and {path} too")
        return
    if remove_entry(shelf.models_dirs, name):
        yield Note(text=f"models.toml says nothing of {name} any more; {path} stays")
    if inside:
        yield Note(
            text=f"the same with --files deletes {path} ({format_bytes(measure_bytes(path))})"
        )


def ask_about_deletion(context: Context, argument: str) -> Questions:
    """Before files are deleted, their person says yes to it. Raises what the command raises."""
    name, path, files, _ = _to_delete(context.studio, argument)
    inside = _is_ours(path, context.studio.shelf)
    if files:
        _check_deletable(context.studio, name, path, inside)
    listed = f"!del_model {quote_separate_value(name)}"
    if (
        not inside
        or path == get_shipped_models_dir() / SHIPPED
        or _not_a_model(context.studio, path)
    ):
        return (listed,)
    too = "" if files else " too"
    size = format_bytes(measure_bytes(path))
    answer = yield Question(f"delete {path} ({size}){too}?", keys="yn")
    if answer == "y":
        return (f"{listed} {FILES_SWITCH} {YES}",)
    return () if files else (listed,)


def _to_delete(studio: Session, argument: str) -> tuple[str, Path, bool, bool]:
    """The model's name, its place, whether its files are meant, and whether that was confirmed.
    Raises BadLine, ModelError."""
    said = [word.text for word in split_words(argument)]
    named = " ".join(word for word in said if word not in DELETE_OPTIONS)
    name = find_listed_name(studio.shelf, parse_name(named, "!del_model"))
    if name == get_active_model(studio):
        raise ModelError(f"{name} is the model that paints", "!switch to another one first")
    return name, studio.shelf.find_paths()[name], FILES_SWITCH in said, YES in said


def _is_ours(path: Path, shelf: ModelRegistry) -> bool:
    """Whether a model lies in a models folder: it itself, not what it may be a link to."""
    here = path.parent.resolve()
    return any(here.is_relative_to(folder.resolve()) for folder in shelf.models_dirs)


def _not_a_model(studio: Session, path: Path) -> str:
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


def _check_deletable(studio: Session, name: str, path: Path, inside: bool) -> None:
    if not inside:
        raise ModelError(
            f"{path} lies in no models folder, and is left alone",
            f"!del_model {quote_value(name)} takes it from models.toml",
        )
    if path == get_shipped_models_dir() / SHIPPED:
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
