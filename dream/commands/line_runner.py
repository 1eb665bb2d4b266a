"""Runs the lines of a queue in a thread of its own: one after the other, or, with several workers,
side by side.

Every front door of a session puts its lines into the one queue; those that show what happens listen
here.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Protocol

from dream.commands.command import Context
from dream.commands.dispatch import run_line
from dream.commands.lines_beside import LinesBeside
from dream.core.events import Event, Events, Failed, Note, Saved
from dream.core.request import Request
from dream.line import format_explicitly
from dream.queue import LineQueue, QueuedLine, follow_until_cancelled
from dream.session import report_crashes
from dream.session.side_by_side import get_pool
from dream.worker.crash import to_dream_error


class LineListener(Protocol):
    """Shows every line of the queue, in the thread that runs them. Its methods return
    soon, since the next image waits for them."""

    def begin_line(self, entry: QueuedLine) -> None:
        """A line begins."""

    def show_event(self, entry: QueuedLine, event: Event) -> None:
        """One event of the line."""

    def end_line(self, entry: QueuedLine) -> None:
        """The line has ended; the queue has already forgotten it."""


class LineRunner:
    """The thread `maker` of one session. The only one that asks the session for images."""

    def __init__(self, context: Context, queue: LineQueue) -> None:
        self.context, self.queue = context, queue
        self.listeners: list[LineListener] = []
        self.on_bug: Callable[[BaseException], None] = lambda error: None
        """Called with an error of our own, which ends the thread."""
        self._thread = Thread(target=self._run, name="maker", daemon=True)

    def start(self) -> None:
        """Load the default model, then run lines until the queue is closed."""
        self._thread.start()

    def wait(self, timeout: float) -> None:
        """Wait until the queue is closed and its current line has ended, so many seconds at most.
        Returns at once if it was not started."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self.context.session.preload()
            if (pool := get_pool(self.context.session.engine)) is not None:
                LinesBeside(self, pool).run()
            while (entry := self.queue.take()) is not None:
                self._run_entry(entry)
        except BaseException as error:
            self.on_bug(error)

    def _run_entry(self, entry: QueuedLine) -> None:
        self.begin(entry)
        try:
            follow_until_cancelled(
                self._make(entry), self.queue.is_cancelled, lambda event: self.show(entry, event)
            )
        except Exception as error:
            self.show(entry, Failed(error=to_dream_error(error), line=entry.line))
        self.end(entry)

    def begin(self, entry: QueuedLine) -> None:
        """A line begins."""
        for listener in self.listeners:
            listener.begin_line(entry)

    def end(self, entry: QueuedLine) -> None:
        """A line has ended."""
        self.queue.finish(entry.number)
        for listener in self.listeners:
            listener.end_line(entry)

    def _make(self, entry: QueuedLine) -> Events[None]:
        yield from (Note(text=text) for text in entry.notes)
        if entry.request is None:
            yield from run_line(self.context, entry.line, turn=True)
        else:
            events = self.context.session.make(entry.request)
            yield from report_crashes(events, entry.line, otherwise=False)

    def show(self, entry: QueuedLine, event: Event) -> None:
        """An event of a line."""
        keep_rest(self.queue, event, self.context.session.at_start, entry.number)
        for listener in self.listeners:
            listener.show_event(entry, event)


def keep_rest(queue: LineQueue, event: Event, at_start: Request, number: int = 0) -> None:
    """Where a picture is on disk, have the lines that are offered make only the others of its line,
    with the defaults that a session has `at_start`."""
    if isinstance(event, Saved) and (left := event.left) is not None:
        bases = (Request(), at_start)
        queue.keep_rest(
            len(left),
            lambda: [format_explicitly(one, bases) for one in left],
            number,
            event.left_before,
        )
