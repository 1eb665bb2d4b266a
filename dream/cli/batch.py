"""Run lines from the shell, a file or a pipe without a prompt.

Standard output is for scripts: with --json every event, one object per line; if it is not a
terminal, the paths of the finished images, one per line. Everything else goes to standard error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from dream.commands import InsertText, ShowImage, TextOutput
from dream.core.errors import ALL_MADE, INTERRUPTED, SOME_FAILED, WRONG_LINE, DreamError
from dream.core.events import Cancelled, Event, Events, Failed, Planned, Rejected, Saved, Verified
from dream.core.interrupts import Interrupts
from dream.core.messages import NoteDeduplicator, ProgressEstimator, format_event
from dream.core.plain_text import format_json, make_printable, print_styled, print_text
from dream.graphics import TerminalImages


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


__all__ = ["EventPrinter", "run"]
