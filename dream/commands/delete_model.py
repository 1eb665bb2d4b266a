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
            BOOLEAN_FLAG, expects="also delete its files, which must be in a models folder"
        ),
        YES: replace(BOOLEAN_FLAG, expects="delete without asking"),
    }
)


def delete_model(context: Context, argument: str) -> Events[None]:
    """!del_model NAME [--files [--yes]]: remove a model from models.toml; with --files also delete
    its files, only in the models folders. --yes means that the user has confirmed; without it
    nothing is deleted."""
    registry = context.session.registry
    name, path, files, confirmed = _parse_deletion(context.session, argument)
    inside = _is_in_models_dir(path, registry)
    if files:
        _check_deletable(context.session, name, path, inside)
        if not confirmed:
            size = format_bytes(measure_bytes(path))
            raise BadLine(
                f"this deletes {path} ({size})", hint=f"confirm with {FILES_SWITCH} {YES}"
            )
        _delete(path)
        remove_entry(registry.models_dirs, name)
        yield Note(text=f"removed {name} and deleted {path}")
        return
    if remove_entry(registry.models_dirs, name):
        yield Note(text=f"removed {name} from models.toml; kept {path}")
    if inside:
        yield Note(
            text=f"to delete {path} ({format_bytes(measure_bytes(path))}) too: "
            f"!del_model {quote_value(name)} {FILES_SWITCH}"
        )


def ask_about_deletion(context: Context, argument: str) -> Questions:
    """Ask the user to confirm before files are deleted. Raises what the command raises."""
    name, path, files, _ = _parse_deletion(context.session, argument)
    inside = _is_in_models_dir(path, context.session.registry)
    if files:
        _check_deletable(context.session, name, path, inside)
    listed = f"!del_model {quote_separate_value(name)}"
    if (
        not inside
        or path == get_shipped_models_dir() / SHIPPED
        or _find_reason_to_keep(context.session, path)
    ):
        return (listed,)
    too = "" if files else " too"
    size = format_bytes(measure_bytes(path))
    answer = yield Question(f"delete {path} ({size}){too}?", keys="yn")
    if answer == "y":
        return (f"{listed} {FILES_SWITCH} {YES}",)
    return () if files else (listed,)


def _parse_deletion(session: Session, argument: str) -> tuple[str, Path, bool, bool]:
    """Return the model's name, its path, whether to delete its files, and whether that was
    confirmed. Raises BadLine, ModelError."""
    words = [word.text for word in split_words(argument)]
    text = " ".join(word for word in words if word not in DELETE_OPTIONS)
    name = find_listed_name(session.registry, parse_name(text, "!del_model"))
    if name == get_active_model(session):
        raise ModelError(f"{name} is the active model", "!switch to another model first")
    return name, session.registry.find_paths()[name], FILES_SWITCH in words, YES in words


def _is_in_models_dir(path: Path, registry: ModelRegistry) -> bool:
    """Whether a model is in a models folder: the path itself, not the target of a link."""
    parent = path.parent.resolve()
    return any(parent.is_relative_to(folder.resolve()) for folder in registry.models_dirs)


def _find_reason_to_keep(session: Session, path: Path) -> str:
    """The reason not to delete a folder listed as a model; empty if it is a model. The path may
    come from a models.toml that somebody else wrote."""
    if in_hub_cache(path):
        return "it belongs to the Hugging Face cache, which other programs use too"
    if path.is_symlink() or not path.is_dir():
        return ""  # a single file, or a link: only the link is deleted
    if not (path / INDEX).is_file():
        return f"it has no {INDEX}"
    whole = path.resolve()
    for place in (*session.registry.models_dirs, session.outdir, Path.cwd(), Path.home()):
        if place.resolve().is_relative_to(whole):
            return f"it contains {place}"
    return ""


def _check_deletable(session: Session, name: str, path: Path, inside: bool) -> None:
    if not inside:
        raise ModelError(
            f"{path} is not in a models folder and is not deleted",
            f"!del_model {quote_value(name)} removes it from models.toml",
        )
    if path == get_shipped_models_dir() / SHIPPED:
        raise ModelError(f"{name} is part of dream and is not deleted")
    if reason := _find_reason_to_keep(session, path):
        raise ModelError(
            f"{path} is not the folder of a single model: {reason}",
            "delete by hand what you do not need",
        )


def _delete(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise ModelError(f"{path} cannot be deleted: {error.strerror or error}") from error
