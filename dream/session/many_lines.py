"""Runs many lines, one after the other; and checks that a line has a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dream.core.errors import BadLine, DreamError
from dream.core.events import Cancelled, Events, Note, Planned, Rejected
from dream.core.request import Request
from dream.line import format_line, is_skipped, parse_log_line
from dream.line.words import split_line
from dream.session.engine_events import report_crashes
from dream.session.fix_done import Remaining, remaining
from dream.session.fix_names import Several, several
from dream.session.generation import Part
from dream.session.side_by_side import SavePlace

if TYPE_CHECKING:
    from dream.session.session import Session


@dataclass(frozen=True)
class Extent:
    """How many images a line requests."""

    count: int
    """Images; those of a folder that are already done count too."""
    text: str
    """The same as a message."""
    yes: bool
    """Whether the line has --yes."""
    first: str
    """The line of the first file, if it names several; else the line itself."""


@dataclass
class Turns:
    """Which line is running, of how many; a line that becomes several adds to them."""

    turn: int = 0
    """From 1."""
    of: int = 0


def make_one_by_one(
    session: Session, lines: Iterable[tuple[int, str]], *, dry_run: bool
) -> Events[None]:
    """See `Session.make_all`: one line after the other. An unexpected exception in a line does not
    end the others."""
    turns = Turns(of=len(lines)) if isinstance(lines, Sequence) else None
    for number, line in lines:
        if turns:
            turns.turn += 1
        if is_skipped(line):
            continue
        if dry_run:
            yield from report_crashes(session.plan(line, number), line, None)
            continue
        events = session.make(line, number, turns)
        if (yield from report_crashes(events, line, otherwise=False)):
            return


def make_each(
    session: Session,
    entered: str | Request,
    number: int,
    turns: Turns | None,
    place: SavePlace | None = None,
) -> Events[bool]:
    """Generate the images of a line, which may name several files; whether it was cancelled. A file
    that cannot be used is reported, and the others continue."""
    finished, count = 0, 0
    try:
        lines, text = yield from lines_of(session, entered, number)
        if text:
            turns = _with_more(turns, len(lines))
            count = sum(_pictures_of(session, line) for line in lines)
            yield Note(text=text)
        for index, line in enumerate(lines):
            if turns and index:
                turns.turn += 1
            generating = session.make_one(line, number, turns, Part(finished, count), place)
            if count:
                generation = yield from report_crashes(generating, str(line), otherwise=None)
            else:
                generation = yield from generating
            if generation is not None:
                finished += generation.finished
                if generation.is_cancelled:
                    return True
    except KeyboardInterrupt:
        if not count:
            raise
        yield Cancelled(finished=finished, count=count)
        return True
    return False


def make_beside(session: Session, entered: str | Request, place: SavePlace) -> Events[bool]:
    """Generate the images of a line beside those of others, saved in the order of their places.
    Yields Waiting where there is nothing to do; whether it was cancelled."""
    try:
        if session.dry_run:
            yield from session.plan(entered)
            return False
        return (yield from make_each(session, entered, 0, None, place))
    finally:
        place.leave()


def plan_each(session: Session, entered: str | Request, number: int) -> Events[None]:
    """What `make_each` would generate."""
    lines, text = yield from lines_of(session, entered, number)
    if text:
        yield Note(text=text)
    for line in lines:
        resolved = yield from session.resolve_line(line, number)
        for recipe in resolved[1] if resolved else ():
            request = recipe.to_request()
            yield Planned(line=format_line(request), request=request)


def _with_more(turns: Turns | None, count: int) -> Turns:
    """A line has become `count` lines, maybe none."""
    if turns is None:
        return Turns(1, count)
    turns.of += count - 1
    turns.turn -= not count
    return turns


def _pictures_of(session: Session, line: str | Request) -> int:
    with suppress(DreamError):
        return session.parse_sweep(str(line)).count
    return 1


def group_of(session: Session, line: str) -> Several | None:
    """The images of a `!fix` line that names several; None for other lines. Raises BadLine,
    InputError."""
    group = several(line, session.find_picture, session.outdir)
    if group is not None and not group.apart:
        session.parse_sweep(line)  # errors have the column of the typed line
    return group


def extent(session: Session, line: str) -> Extent:
    """How many images a line requests. Raises BadLine, InputError."""
    group = group_of(session, line)
    if group is None:
        sweep = session.parse_sweep(line)
        return Extent(sweep.count, str(sweep), sweep.first.yes, line)
    first, files = group.line(group.files[0]), len(group.files)
    sweep = session.parse_sweep(first)
    each = f" × {sweep.count}" if sweep.count > 1 else ""
    text = f"{files * sweep.count:,} images: {files} files{each}; those already done are skipped"
    return Extent(files * sweep.count, text, sweep.first.yes, first)


def lines_of(
    session: Session, entered: str | Request, number: int
) -> Events[tuple[Sequence[str | Request], str]]:
    """The line itself, without a note; or, for a `!fix` line that names several images, a line for
    each that is not done yet, and a note. No line if it is rejected."""
    if not isinstance(entered, str):
        return (entered,), ""
    try:
        group = group_of(session, entered)
        if group is None:
            return (entered,), ""
        left = remaining(session, group)
        return left.lines, _describe_remaining(len(group.files), left)
    except DreamError as error:
        yield Rejected(error=error, line=entered, number=number)
        return (), ""


def _describe_remaining(named: int, left: Remaining) -> str:
    """How many images will be processed, and why the others are not."""
    to_do = "1 image" if len(left.lines) == 1 else f"{len(left.lines)} images"
    text = f"{to_do} to fix"
    if left.done:
        were = "was" if left.done == 1 else "were"
        text += f"; {left.done} of {named} images {were} already done"
    if left.results:
        text += f"; {left.results} of {named} skipped: they are results of such a !fix"
    return text


def check_has_prompt(line: str, request: Request) -> Request:
    """The request. Raises BadLine if its line has neither a prompt nor an input image, which was
    most likely a mistake."""
    has_some = request.prompt or request.template or request.init_img or request.fix
    if not (has_some or is_skipped(line)):
        parts = split_line(line, parse_log_line(line).start)
        if parts.switches and parts.prompt is None:
            hint = '"" before the switches is an empty prompt; !set steps 30 is for all lines'
            raise BadLine("the line has switches but no prompt", 1, hint)
    return request
