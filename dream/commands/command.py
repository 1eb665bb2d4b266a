"""What a command is: one row of a table, which dispatch, !help and completion read."""

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

_BACK = re.compile(r"-[1-9][0-9]{0,8}")


@dataclass(frozen=True, kw_only=True)
class InsertText(Event):
    """Text to be put into the edit line, for the person to change and enter."""

    name: ClassVar[str] = "edit"
    text: str


Line = str | tuple[str, str]
"""A line as it is; or a term and what it means, to be set in two columns."""


@dataclass(frozen=True, kw_only=True)
class ShowImage(Event):
    """A picture to be shown in the terminal."""

    name: ClassVar[str] = "look"
    path: Path


@dataclass(frozen=True, kw_only=True)
class TextOutput(Event):
    """An answer of several lines."""

    name: ClassVar[str] = "page"
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Context:
    """What a command may use."""

    studio: Session
    history: Callable[[], Sequence[str]]
    """Every line ever entered, oldest first; the first is number 1. May read a file."""
    commands: Sequence[Command]
    """The table itself, for !help."""
    clear_history: Callable[[], None] = lambda: None
    """Clears that history, on disk too. Raises GalleryError."""
    queue: LineQueue | None = None
    """Where lines wait for their turn; None where each is made when it is entered."""


@dataclass(frozen=True)
class Question:
    """What a person at a terminal is asked before a command is done."""

    text: str
    default: str = ""
    """What no words at all mean."""
    keys: str = ""
    """Letters, if one key is the answer; the last one means to leave all as it is."""
    about: tuple[Line, ...] = ()
    """Said before it."""


Questions = Generator[Question, str, tuple[str, ...]]
"""Questions out, answers in; its result is the lines to do in place of the one that was entered,
which say it all. May raise DreamError."""

RunCommand = Callable[[Context, str], Events[None]]
"""What a command does: the words after its name in, events out. May raise DreamError."""


@dataclass(frozen=True)
class Command:
    """One row of the table."""

    name: str
    """With its `!`."""
    usage: str
    """What follows the name, as in `FILE` or `[N]`."""
    help: str
    """One line, as in “make every line of a log”."""
    run: RunCommand
    completion: str = ""
    """What its first word is: "file", "picture", "topic" (a switch or a command), "setting" (a
    switch's name, then its value), or nothing."""
    options: Mapping[str, OptionType[Any]] = field(default_factory=dict)
    """Switches of its own, and the kind of value each takes; `means` explains it."""
    questions: Callable[[Context, str], Questions] | None = None
    """Asks for what is missing in the words after its name. Only where somebody can answer."""
    changes: bool = False
    """Whether it loads a model or changes files, which --dry_run forbids. What only makes lines is
    planned then."""
    queued: bool = False
    """Whether it takes its turn among the pictures: it makes some, or decides about the later
    ones. The others are done at once, whatever is being made."""


def find_named_file(context: Context, argument: str, command: str) -> Path:
    """The file an argument names; quotes round a name with spaces are optional. A name that is
    not found here is looked for among the pictures; -1 is the last picture that was made, -2 the
    one before. Raises BadLine when nothing is named, no file can have that name, or no such picture
    was made."""
    said = tuple(split_words(argument))
    if not said:
        raise BadLine(f"{command} takes a file, but nothing follows")
    text = said[0].text if len(said) == 1 else argument.strip()
    if _BACK.fullmatch(text) and not path_exists_at(parse_path(text)):
        return _kept(context, int(text))
    path = parse_path(text)
    for spelling in spellings(text):
        with suppress(BadLine, UnicodeError):  # only what was said itself may be wrong
            wanted = parse_path(spelling)
            for there in (wanted, context.studio.outdir / wanted):
                if path_exists_at(there):
                    return there
    return path


def _kept(context: Context, back: int) -> Path:
    kept = context.studio.kept
    if -back > len(kept):
        made = f"{len(kept)} so far" if kept else "none so far"
        raise BadLine(f"{back} is a picture of this session that is not there ({made})")
    return kept[back].path
