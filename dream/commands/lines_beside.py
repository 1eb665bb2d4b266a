"""Runs lines of the queue side by side, as many as keep several workers busy.

Lines of one client begin in their order, and their images are saved in it. The lines of different
clients take turns. A command runs alone, and a line that means an earlier image waits for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dream.commands.dispatch import is_command, run_line
from dream.core.errors import DreamError
from dream.core.events import Cancelled, Event, Events, Failed, Note, Waiting
from dream.engine.interface import PoolEngine
from dream.queue import QueuedLine
from dream.session import report_crashes
from dream.session.many_lines import make_beside
from dream.session.resolve_entered import needs_earlier_images
from dream.session.side_by_side import SaveOrder, SavePlace, has_room
from dream.worker.crash import to_dream_error

if TYPE_CHECKING:
    from dream.commands.line_runner import LineRunner


@dataclass(eq=False)
class _Line:
    entry: QueuedLine
    events: Events[Any]
    waiting: Waiting | None = None
    is_told: bool = False
    """Whether its cancellation was raised in it."""


@dataclass
class _Client:
    """What is saved in order."""

    order: SaveOrder = field(default_factory=SaveOrder)
    begun: int = 0


class LinesBeside:
    """The lines of a runner that run at the same time, in its thread."""

    def __init__(self, runner: LineRunner, pool: PoolEngine) -> None:
        self._runner, self._pool, self._queue = runner, pool, runner.queue
        self._context, self._session = runner.context, runner.context.session
        self._lines: list[_Line] = []
        self._clients: dict[str, _Client] = {}
        self._queue.watch(pool.wake)

    def run(self) -> None:
        """Run lines until the queue is closed and those that run have ended."""
        while True:
            if not self._lines:
                if (first := self._queue.take()) is None:
                    return
                self._begin(first)
            while (entry := self._queue.take_another(self._choose)) is not None:
                self._begin(entry)
            for line in tuple(self._lines):
                self._advance(line)
            if not any(self._is_ready(line) for line in self._lines) and self._lines:
                with suppress(KeyboardInterrupt):  # the cancelled line reports it
                    self._pool.wait()

    def _choose(self, waiting: Sequence[QueuedLine]) -> QueuedLine | None:
        """The next line to begin: of the client with the fewest running lines, if there is room for
        its images, or if nothing of the client runs."""
        if any(is_command(line.entry.line) for line in self._lines):
            return None
        running = Counter(line.entry.owner for line in self._lines)
        first: dict[str, QueuedLine] = {}
        for entry in waiting:
            first.setdefault(entry.owner, entry)
        for owner, entry in sorted(first.items(), key=lambda item: running[item[0]]):
            if self._is_alone(entry):
                if entry is waiting[0]:
                    return None  # it begins when those that run have ended
            elif not running[owner] or has_room(self._pool, self._session.in_flight):
                return entry
        return None

    def _is_alone(self, entry: QueuedLine) -> bool:
        """Whether a line begins only when no other runs."""
        if entry.request is not None:
            return False
        with suppress(DreamError):  # which is reported when it runs
            return is_command(entry.line) or needs_earlier_images(self._session, entry.line)
        return False

    def _begin(self, entry: QueuedLine) -> None:
        self._runner.begin(entry)
        line = _Line(entry, self._make(entry))
        self._lines.append(line)
        self._advance(line)

    def _make(self, entry: QueuedLine) -> Events[Any]:
        yield from (Note(text=text) for text in entry.notes)
        if is_command(entry.line) and entry.request is None:
            yield from run_line(self._context, entry.line, turn=True)
            return
        client = self._clients.setdefault(entry.owner, _Client())
        place = SavePlace(client.order, client.begun)
        client.begun += 1
        entered = entry.line if entry.request is None else entry.request
        events = make_beside(self._session, entered, place)
        yield from report_crashes(events, entry.line, otherwise=False)

    def _is_ready(self, line: _Line) -> bool:
        is_told = line.is_told or not self._queue.is_cancelled(line.entry.number)
        return not is_told or line.waiting is None or line.waiting.is_over()

    def _advance(self, line: _Line) -> None:
        """Show the events of a line until it waits or has ended."""
        self._pool.set_owner(line.entry.owner)
        try:
            while self._is_ready(line):
                line.waiting = None
                if line.is_told or not self._queue.is_cancelled(line.entry.number):
                    event: Event = next(line.events)
                else:
                    line.is_told = True
                    event = line.events.throw(KeyboardInterrupt())
                if isinstance(event, Waiting):
                    line.waiting = event
                else:
                    line.is_told |= isinstance(event, Cancelled)
                    self._runner.show(line.entry, event)
            return
        except StopIteration:
            pass
        except KeyboardInterrupt:
            self._runner.show(line.entry, Cancelled(finished=0, count=0))
        except Exception as error:
            self._runner.show(line.entry, Failed(error=to_dream_error(error), line=line.entry.line))
        self._lines.remove(line)
        self._runner.end(line.entry)
