"""Define a command: one row of the table that dispatch, !help and completion read."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from dream.core.errors import BadLine
from dream.core.events import Event, Events
from dream.core.file_names import parse_path, path_exists_at, spellings
from dream.line import split_words
from dream.options.option_type import OptionType
from dream.queue import LineQueue
from dream.session import Session

_NEGATIVE_INDEX = re.compile(r"-[1-9][0-9]{0,8}")


@dataclass(frozen=True, kw_only=True)
class InsertText(Event):
    """Text to insert into the edit line, for the user to change and enter."""

    name: ClassVar[str] = "edit"
    text: str


Line = str | tuple[str, str]
"""A line of text, or a term and its meaning, shown in two columns."""


@dataclass(frozen=True, kw_only=True)
class ShowImage(Event):
    """An image to show in the terminal."""

    name: ClassVar[str] = "look"
    path: Path


@dataclass(frozen=True, kw_only=True)
class TextOutput(Event):
    """A text of several lines."""

    name: ClassVar[str] = "page"
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Context:
    """What a command may use."""

    session: Session
    history: Callable[[], Sequence[str]]
    """Returns every line ever entered, oldest first; the first is number 1. May read a file."""
    commands: Sequence[Command]
    """The table itself, for !help."""
    clear_history: Callable[[], None] = lambda: None
    """Clears that history, also on disk. Raises GalleryError."""
    queue: LineQueue | None = None
    """The queue of waiting lines; None where each line runs when it is entered."""


@dataclass(frozen=True)
class Question:
    """A question for the user at a terminal before a command runs."""

    text: str
    default: str = ""
    """The answer if nothing is entered."""
    keys: str = ""
    """Letters, if the answer is one key; the last one changes nothing."""
    about: tuple[Line, ...] = ()
    """Text shown before the question."""


Questions = Generator[Question, str, tuple[str, ...]]
"""Yields questions and receives answers; returns the complete lines that replace the entered one.
May raise DreamError."""

RunCommand = Callable[[Context, str], Events[None]]
"""Runs a command: takes the text after its name, yields events. May raise DreamError."""


@dataclass(frozen=True)
class Command:
    """One row of the table."""

    name: str
    """The name with its `!`."""
    usage: str
    """The arguments, as in `FILE` or `[N]`."""
    help: str
    """One line, as in “list models”."""
    run: RunCommand
    completion: str = ""
    """What completes its first word: "file", "picture", "png", "topic" (a switch or a command),
    "setting" (the name of a switch, then its value), "control" (a kind of control image, then a
    picture), or nothing."""
    options: Mapping[str, OptionType[Any]] = field(default_factory=dict)
    """Its own options, and the type of value each takes; `expects` explains it."""
    questions: Callable[[Context, str], Questions] | None = None
    """Asks for missing arguments. Used only where a user can answer."""
    changes: bool = False
    """Whether it loads a model or changes files, which --dry_run forbids. Commands that only run
    lines plan them instead."""
    queued: bool = False
    """Whether it waits in the queue, because it makes images or affects later lines. Other
    commands run at once."""


def find_named_file(context: Context, argument: str, command: str) -> Path:
    """Return the file that an argument names; quotes around a name with spaces are optional. A name
    that does not exist here is looked up in the image folder; -1 is the last image, -2 the one
    before. Raises BadLine if the argument is empty, cannot be the name of a file, or is the number
    of an image that does not exist."""
    words = tuple(split_words(argument))
    if not words:
        raise BadLine(f"{command} needs a file name")
    text = words[0].text if len(words) == 1 else argument.strip()
    if _NEGATIVE_INDEX.fullmatch(text) and not path_exists_at(parse_path(text)):
        return _find_session_image(context, int(text))
    path = parse_path(text)
    for spelling in spellings(text):
        with suppress(BadLine, UnicodeError):  # only the text as typed may raise
            relative = parse_path(spelling)
            for candidate in (relative, context.session.outdir / relative):
                if path_exists_at(candidate):
                    return candidate
    return path


def _find_session_image(context: Context, index: int) -> Path:
    images = context.session.saved
    if -index > len(images):
        count = f"{len(images)} so far" if images else "none so far"
        raise BadLine(f"there is no image {index} in this session ({count})")
    return images[index].path
