"""Many lines, one after the other; and what makes a line worth making."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dream.core.errors import BadLine, DreamError
from dream.core.events import Cancelled, Events, Note, Rejected
from dream.core.request import Request
from dream.line import is_skipped, parse_log_line
from dream.line.words import split_line
from dream.session.engine_events import report_crashes
from dream.session.fix_done import Remaining, remaining
from dream.session.fix_names import Several, several
from dream.session.generation import Part

if TYPE_CHECKING:
    from dream.session.session import Session


@dataclass(frozen=True)
class Extent:
    """How much a line asks for."""

    count: int
    """Pictures; those of a folder that are done already count too."""
    text: str
    """The same in a user's words."""
    yes: bool
    """It says itself that it means so many."""
    first: str
    """The line of the first picture's file, where it names several; else the line itself."""


@dataclass
class Turns:
    """Which line is made, of how many; a line that becomes several adds to them."""

    turn: int = 0
    """From 1."""
    of: int = 0


def make_all(studio: Session, lines: Iterable[tuple[int, str]], *, dry_run: bool) -> Events[None]:
    """See `Studio.make_all`. A line that raises what nobody foresaw does not end the others."""
    turns = Turns(of=len(lines)) if isinstance(lines, Sequence) else None
    for number, line in lines:
        if turns:
            turns.turn += 1
        if is_skipped(line):
            continue
        if dry_run:
            yield from report_crashes(studio.plan(line, number), line, None)
            continue
        made = studio.make(line, number, turns)
        if (yield from report_crashes(made, line, otherwise=False)):
            return


def make_each(
    studio: Session, asked: str | Request, number: int, turns: Turns | None
) -> Events[bool]:
    """The pictures of a line, which may name several files; whether it was cancelled. A file that
    cannot be used is reported, and the others go on."""
    finished, count = 0, 0
    try:
        lines, told = yield from lines_of(studio, asked, number)
        if told:
            turns = _with_more(turns, len(lines))
            count = sum(_pictures_of(studio, line) for line in lines)
            yield Note(text=told)
        for index, line in enumerate(lines):
            if turns and index:
                turns.turn += 1
            making = studio.make_one(line, number, turns, Part(finished, count))
            if count:
                made = yield from report_crashes(making, str(line), otherwise=None)
            else:
                made = yield from making
            if made is not None:
                finished += made.finished
                if made.is_cancelled:
                    return True
    except KeyboardInterrupt:
        if not count:
            raise
        yield Cancelled(finished=finished, count=count)
        return True
    return False


def _with_more(turns: Turns | None, count: int) -> Turns:
    """A line has become so many; there may be no line left of it."""
    if turns is None:
        return Turns(1, count)
    turns.of += count - 1
    turns.turn -= not count
    return turns


def _pictures_of(studio: Session, line: str | Request) -> int:
    with suppress(DreamError):
        return studio.parse_sweep(str(line)).count
    return 1


def group_of(studio: Session, line: str) -> Several | None:
    """The pictures that a line names, where it is a `!fix` line and names several. Raises BadLine,
    InputError."""
    group = several(line, studio.find_picture, studio.outdir)
    if group is not None and not group.apart:
        studio.parse_sweep(line)  # what is wrong behind the name is pointed at where it was typed
    return group


def extent(studio: Session, line: str) -> Extent:
    """How many pictures a line asks for. Raises BadLine, InputError."""
    group = group_of(studio, line)
    if group is None:
        sweep = studio.parse_sweep(line)
        return Extent(sweep.count, str(sweep), sweep.first.yes, line)
    first, files = group.line(group.files[0]), len(group.files)
    sweep = studio.parse_sweep(first)
    each = f" × {sweep.count}" if sweep.count > 1 else ""
    asked = f"{files * sweep.count:,} pictures: {files} files{each}, without those already done"
    return Extent(files * sweep.count, asked, sweep.first.yes, first)


def lines_of(
    studio: Session, asked: str | Request, number: int
) -> Events[tuple[Sequence[str | Request], str]]:
    """The line itself, and nothing to say; or, of a `!fix` line that names several pictures, a line
    for each that is not done yet, and how many there are. No line where it is refused."""
    if not isinstance(asked, str):
        return (asked,), ""
    try:
        group = group_of(studio, asked)
        if group is None:
            return (asked,), ""
        left = remaining(studio, group)
        return left.lines, _told(len(group.files), left)
    except DreamError as error:
        yield Rejected(error=error, line=asked, number=number)
        return (), ""


def _told(named: int, left: Remaining) -> str:
    """How many pictures are to be taken further, and why not the others."""
    to_do = "1 image" if len(left.lines) == 1 else f"{len(left.lines)} images"
    told = f"{to_do} to fix"
    if left.done:
        were = "was" if left.done == 1 else "were"
        told += f"; {left.done} of {named} images {were} already done"
    if left.results:
        told += f"; {left.results} of {named} skipped: they are results of such a !fix"
    return told


def check_has_prompt(line: str, request: Request) -> Request:
    """The request, unless its line says no words at all and begins from no picture that may lend
    some: most likely they were forgotten. Raises BadLine."""
    if not (request.prompt or request.init_img or request.fix or is_skipped(line)):
        parts = split_line(line, parse_log_line(line).start)
        if parts.switches and parts.prompt is None:
            hint = '"" before the switches paints without words; !set steps 30 is for all lines'
            raise BadLine("the line has switches, but no words to paint", 1, hint)
    return request
