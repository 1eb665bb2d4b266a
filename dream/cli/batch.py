"""The front door without a prompt: lines from the shell, a file or a pipe.

Standard output carries what a script wants: with --json every event, one object a line; when it is
no terminal, the finished pictures' paths, one a line. All else goes to standard error.
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
    """Shows events, and remembers what the exit status should be."""

    def __init__(
        self, *, as_json: bool, out: TextIO, err: TextIO, pictures: TerminalImages | None = None
    ) -> None:
        """`pictures` shows them on a terminal; None shows paths alone."""
        self._json, self.out, self._err, self._pictures = as_json, out, err, pictures
        self._pace, self._heard = ProgressEstimator(), NoteDeduplicator()
        self._bar = False
        self.status = ALL_MADE

    def show(self, event: Event) -> None:
        """One event, to where it belongs."""
        self.status = max(self.status, _status(event))
        if self._json:
            print_text(format_json(event.to_json()), self.out)
            return
        if self._err.isatty():
            self._draw(self._pace.format_progress(event))
        if isinstance(event, Saved) and not self.out.isatty():
            print_styled(f"{event.path.as_posix()}\n", self.out)  # for a script, as it is
        elif isinstance(event, Planned | TextOutput | InsertText):
            print_text("\n".join(map(make_printable, _format_answer(event))), self.out)
        elif isinstance(event, ShowImage):
            seen = self._pictures and self._picture(self._pictures, event.path)
            print_styled(f"{seen or make_printable(event.path.as_posix())}\n", self.out)
        elif not self._heard.is_repeated(event) and (text := format_event(event)) is not None:
            wanted = self.out if isinstance(event, Saved | Verified) else self._err
            print_text(make_printable(text), wanted)
            if isinstance(event, Saved) and self._pictures is not None:
                print_styled(f"{self._picture(self._pictures, event.path)}\n", self.out)

    def _picture(self, pictures: TerminalImages, path: Path) -> str:
        """A finished picture as text; the first that cannot be shown says why, and is the last."""
        try:
            return pictures.show(path)
        except DreamError as error:
            self._pictures = None
            return make_printable(str(error))

    def _draw(self, bar: str | None) -> None:
        """The progress line, rewritten in place; None wipes it."""
        if self._bar:
            print_styled("\r\x1b[K", self._err)
        if bar is not None:
            print_styled(make_printable(bar), self._err)
        self._bar = bar is not None


def _format_answer(event: Planned | TextOutput | InsertText) -> Iterable[str]:
    """What was asked for, and is no picture: as lines."""
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


def run(events: Events[None], voice: EventPrinter, interrupts: Interrupts) -> int:
    """Show all that happens; the exit status. Ctrl-C keeps what is finished, and is the last event
    to be shown."""
    try:
        interrupts.follow(events, voice.show)
    except BrokenPipeError:
        # Whoever read our output has gone (`dream … | head -1`); what was made is kept. Python
        # would flush the broken pipe once more at exit, and complain: give it another end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), voice.out.fileno())
        return SOME_FAILED
    return voice.status


__all__ = ["EventPrinter", "run"]
