"""Questions that !import_model asks at a terminal before it enters the queue."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from dream.catalogue import ModelInfo, ModelRegistry
from dream.catalogue.read_model_info import read_model
from dream.commands.command import Context, Line, Question, Questions
from dream.commands.import_folder import FolderScan, has_several_models, refuse_options, scan_folder
from dream.commands.import_known import MUCH, describe_known
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
from dream.options.known_model import KnownModel
from dream.options.known_models import find_known


def ask_about_import(context: Context, argument: str) -> Questions:
    """Ask for the name and the description; for a folder with several models, which to import.
    Raises BadLine, ModelError for a line that would be rejected."""
    request, registry = parse_import(argument), context.session.registry
    path = None if is_address(request.what) else find_local_path(request.what)
    if path is None and (known := find_known(request.what)) is not None:
        return (yield from _ask_about_known(known, request, registry.offline))
    if path is not None and has_several_models(path):
        if not request.everything:
            return (yield from _ask_which(path, request, registry))
        return (_format_line(request),)
    return (yield from _ask_about_one(request, registry))


def _ask_about_known(known: KnownModel, request: ImportRequest, offline: bool) -> Questions:
    """A large download is started only after a yes; a licence is named."""
    if known.size > MUCH and not offline:
        answer = yield Question("Download? [y/N]", "", about=(describe_known(known),))
        if answer.strip().lower() not in ("y", "yes"):
            return ()
    return (_format_line(request),)


def _ask_about_one(request: ImportRequest, registry: ModelRegistry) -> Questions:
    path = None if is_address(request.what) else find_local_path(request.what)
    if path is not None:
        read_model("it", path, lambda complaint: None)
    proposed = get_default_name(request.what, registry)
    name = request.options.get(NAME) or (yield from _ask_for_name(path, proposed, registry))
    description = request.options.get(DESCRIPTION)
    if description is None:
        description = yield Question("Description:")
    answers = {NAME: name, DESCRIPTION: description}
    options = {key: value for key, value in answers.items() if value}
    return (_format_line(replace(request, options=options)),)


def _ask_for_name(
    path: Path | None, proposed: str, registry: ModelRegistry
) -> Generator[Question, str, str]:
    """Ask for a name that is free or is this model's; empty to use the server's file name."""
    question = "Name:" if proposed else "Name (Enter keeps the original):"
    about: tuple[Line, ...] = ()
    while True:
        answer = yield Question(question, proposed, about=about)
        existing = registry.find_paths().get(answer)
        free = existing is None or (path is not None and existing.samefile(path))
        if free and (answer or not proposed):
            return answer
        about = (f"model {answer} already exists: {existing}",) if answer else ()


def _ask_which(folder: Path, request: ImportRequest, registry: ModelRegistry) -> Questions:
    request = replace(request, what=str(folder))
    scan = scan_folder(folder)
    if not scan.models:
        return (_format_line(replace(request, everything=True)),)  # the command reports it
    names = sorted(scan.models)
    if len(names) == 1:
        return (yield from _ask_about_one(_select_model(scan.models[names[0]], request), registry))
    listed = (*_format_models(names, scan), *scan.describe_left_out())
    about = listed
    while True:
        answer = yield Question("Which of these (numbers, or all)?", "all", about=about)
        numbers = answer.replace(",", " ").split()
        if numbers == ["all"]:
            return (_format_line(replace(request, everything=True)),)
        if numbers and all(word.isdecimal() and 0 < int(word) <= len(names) for word in numbers):
            break
        about = (*listed, f"“{answer}” is not in the list")
    chosen = [names[int(word) - 1] for word in dict.fromkeys(numbers)]
    if len(chosen) == 1:
        return (yield from _ask_about_one(_select_model(scan.models[chosen[0]], request), registry))
    refuse_options(folder, len(chosen), request.single_model_options)
    infos = {
        get_existing_name(scan.models[name].path, registry, name): scan.models[name]
        for name in chosen
    }
    return tuple(
        _format_line(replace(_select_model(info, request), options={NAME: name}))
        for name, info in infos.items()
    )


def _format_models(names: Sequence[str], scan: FolderScan) -> tuple[Line, ...]:
    """The models found, numbered."""
    infos = [scan.models[name] for name in names]
    wide = max(len(describe_family(info)) for info in infos)
    rows = zip(names, infos, strict=True)
    return tuple(
        (f"  {number}  {name}", f"{describe_family(info):{wide}}  {info.path}")
        for number, (name, info) in enumerate(rows, 1)
    )


def _select_model(info: ModelInfo, request: ImportRequest) -> ImportRequest:
    return replace(request, what=str(info.path), everything=False)


def _format_line(request: ImportRequest) -> str:
    """The command with all its options."""
    options = [f"{name}={quote_value(value)}" for name, value in request.options.items()]
    flags = [EMA] * request.ema + [ALL] * request.everything
    return " ".join(("!import_model", quote_separate_value(request.what), *options, *flags))
