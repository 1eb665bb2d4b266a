"""Run lines from the shell, a file or a pipe without a prompt.

Standard output is for scripts: with --json every event, one object per line; if it is not a
terminal, the paths of the finished images, one per line. Everything else goes to standard error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from dream.commands import (
    COMMANDS,
    Context,
    InsertText,
    ShowImage,
    TextOutput,
    is_command,
    run_line,
)
from dream.core.cli_options import CliOptions
from dream.core.errors import ALL_MADE, INTERRUPTED, SOME_FAILED, WRONG_LINE, DreamError
from dream.core.events import (
    Cancelled,
    Event,
    Events,
    Failed,
    Note,
    Planned,
    Rejected,
    Saved,
    Verified,
)
from dream.core.file_names import parse_path
from dream.core.interrupts import Interrupts
from dream.core.messages import NoteDeduplicator, ProgressEstimator, format_event
from dream.core.plain_text import format_json, make_printable, print_styled, print_text
from dream.graphics import TerminalImages
from dream.session import Session
from dream.session.batch_plan import describe_plan, find_plan, list_plans
from dream.session.run_plan import resume_batch, run_batch
from dream.session.side_by_side import wait_for_workers
from dream.terminal.history_file import FILE_NAME, LineHistory

Lines = Callable[[Callable[[str], None], Session], Iterable[tuple[int, str]]]
"""Yields numbered lines; calls its first argument with notes about reading them."""


class EventPrinter:
    """Prints events and keeps the exit status."""

    def __init__(
        self, *, as_json: bool, out: TextIO, err: TextIO, pictures: TerminalImages | None = None
    ) -> None:
        """`pictures` shows finished images on a terminal; None prints only their paths."""
        self._json, self.out, self._err, self._pictures = as_json, out, err, pictures
        self._estimator, self._repeats = ProgressEstimator(), NoteDeduplicator()
        self._bar = False
        self.status = ALL_MADE

    def show(self, event: Event) -> None:
        """Print one event to standard output or standard error."""
        self.status = max(self.status, _status(event))
        if self._json:
            print_text(format_json(event.to_json()), self.out)
            return
        if self._err.isatty():
            self._draw(self._estimator.format_progress(event))
        if isinstance(event, Saved) and not self.out.isatty():
            print_styled(f"{event.path.as_posix()}\n", self.out)  # unchanged, for scripts
        elif isinstance(event, Planned | TextOutput | InsertText):
            print_text("\n".join(map(make_printable, _format_answer(event))), self.out)
        elif isinstance(event, ShowImage):
            image = self._pictures and self._render_image(self._pictures, event.path)
            print_styled(f"{image or make_printable(event.path.as_posix())}\n", self.out)
        elif not self._repeats.is_repeated(event) and (text := format_event(event)) is not None:
            stream = self.out if isinstance(event, Saved | Verified) else self._err
            print_text(make_printable(text), stream)
            if isinstance(event, Saved) and self._pictures is not None:
                print_styled(f"{self._render_image(self._pictures, event.path)}\n", self.out)

    def _render_image(self, pictures: TerminalImages, path: Path) -> str:
        """Render a finished image as text; the first failure returns its error and turns images
        off."""
        try:
            return pictures.show(path)
        except DreamError as error:
            self._pictures = None
            return make_printable(str(error))

    def _draw(self, bar: str | None) -> None:
        """Rewrite the progress line in place; None erases it."""
        if self._bar:
            print_styled("\r\x1b[K", self._err)
        if bar is not None:
            print_styled(make_printable(bar), self._err)
        self._bar = bar is not None


def _format_answer(event: Planned | TextOutput | InsertText) -> Iterable[str]:
    """Format an event that answers with text, as lines."""
    if isinstance(event, Planned):
        return [event.line]
    if isinstance(event, InsertText):
        return [event.text]
    wide = max((len(line[0]) for line in event.lines if isinstance(line, tuple)), default=0)
    return [
        line if isinstance(line, str) else f"{line[0]:{wide}}  {line[1]}" for line in event.lines
    ]


def _status(event: Event) -> int:
    match event:
        case Cancelled():
            return INTERRUPTED
        case Rejected():
            return WRONG_LINE
        case Failed() | Verified(same=False, near=False):
            return SOME_FAILED
        case _:
            return ALL_MADE


def choose_events(
    session: Session,
    launch: CliOptions,
    source: str | Lines | None,
    file: Path | None,
    printer: EventPrinter,
) -> Events[None]:
    """What the launch options ask for: a command, lines, or the rest of a batch; `file` is what
    --from_file names. Raises GalleryError."""
    if launch.verify is not None:
        return session.verify(parse_path(launch.verify))
    if launch.resume is not None:
        return resume_named(session, launch.resume)
    if isinstance(source, str) and is_command(source.strip()):
        history = LineHistory(session.outdir / FILE_NAME, lambda complaint: None)
        context = Context(session, history.read_lines, COMMANDS, history.clear)
        return wait_for_workers(run_line(context, source), session.engine)
    lines: Iterable[tuple[int, str]] = iter(())
    if isinstance(source, str):
        lines = iter([(0, source)])
    elif source is not None:
        lines = source(lambda text: printer.show(Note(text=text)), session)
    if launch.workers is not None and file is not None and not launch.dry_run:
        return report_errors(run_batch(session, lines, file.as_posix()))
    return session.make_all(lines, dry_run=launch.dry_run)


def resume_named(session: Session, name: str) -> Events[None]:
    """Continue the batch of that name; without a name, the only one there is, or list them."""
    plans = list_plans(session.outdir)
    if name:
        yield from report_errors(resume_batch(session, find_plan(session.outdir, name)))
    elif len(plans) == 1:
        yield from report_errors(resume_batch(session, plans[0]))
    elif plans:
        yield TextOutput(lines=tuple(describe_plan(path) for path in plans))
        yield Note(text="dream --resume NAME continues one of them")
    else:
        yield Note(text=f"there is no unfinished batch in {session.outdir.as_posix()}")


def report_errors(events: Events[None]) -> Events[None]:
    """The events; a DreamError ends them with Rejected."""
    try:
        yield from events
    except DreamError as error:
        yield Rejected(error=error)


def run(events: Events[None], printer: EventPrinter, interrupts: Interrupts) -> int:
    """Print all events; the exit status. Ctrl-C keeps finished images and is the last event
    printed."""
    try:
        interrupts.follow(events, printer.show)
    except BrokenPipeError:
        # The reader of our output has exited (`dream … | head -1`); finished images are kept.
        # Python would flush the broken pipe again at exit and fail: redirect it to /dev/null.
        os.dup2(os.open(os.devnull, os.O_WRONLY), printer.out.fileno())
        return SOME_FAILED
    return printer.status


__all__ = ["EventPrinter", "choose_events", "run"]
