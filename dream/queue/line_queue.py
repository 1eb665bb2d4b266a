"""The queue: who is being made, who waits, in which order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dream.core.errors import BadLine


class QueueStore(Protocol):
    """Takes down all lines that are not done, the one being made first."""

    def add(self, lines: Sequence[str]) -> None:
        """These came, behind the others."""

    def remove(self, place: int) -> None:
        """The one at this place, from 0, is done or given up."""

    def move(self, place: int, to: int) -> None:
        """The one at this place comes at another."""

    def replace(self, place: int, lines: Sequence[str]) -> None:
        """In place of the one at this place there are these."""

    def write(self, lines: Sequence[str]) -> None:
        """There are these and no others."""


class NoStore:
    """Takes nothing down."""

    def add(self, lines: Sequence[str]) -> None:
        """Nothing."""

    def remove(self, place: int) -> None:
        """Nothing."""

    def move(self, place: int, to: int) -> None:
        """Nothing."""

    def replace(self, place: int, lines: Sequence[str]) -> None:
        """Nothing."""

    def write(self, lines: Sequence[str]) -> None:
        """Nothing."""


@dataclass(frozen=True)
class QueuedLine:
    """A line in the queue."""

    number: int
    """From 1, in the order they were entered; no two lines of a session share one."""
    line: str


class LineQueue:
    """Lines in, one at a time out. Every method may be called from any thread.

    One thread takes a line, makes it and says `finish`; all others put, look, move and cancel.
    """

    def __init__(
        self,
        store: QueueStore = NoStore(),  # noqa: B008 - it knows nothing
        interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        """`store` is called with each change. `interrupt` is called when the line being made is
        given up, to wake whoever waits for its picture; it must return at once."""
        self._store, self._interrupt = store, interrupt
        self._changed = threading.Condition()
        self._waiting: list[QueuedLine] = []
        self._current: QueuedLine | None = None
        self._left: deque[str] = deque()
        """What is kept of it: the line, or a line for each picture that is not on disk."""
        self._numbers = 0
        self._cancelled = self._paused = self._closed = self._is_split = False

    # ── for the one who makes them ─────────────────────────────────────────────────────────────

    def take(self) -> QueuedLine | None:
        """The next line, when there is one and nothing is paused; None once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._waiting and not self._paused))
            if self._closed:
                return None
            self._current, self._cancelled = self._waiting.pop(0), False
            self._left, self._is_split = deque([self._current.line]), False
            return self._current

    def keep_rest(self, count: int, lines: Callable[[], Sequence[str]]) -> None:
        """Of the line being made, `count` pictures are not on disk yet, and these lines make them:
        a session after this one is offered no picture twice. `lines` is called for the first of
        them; from then on each picture is a line less."""
        with self._changed:
            if self._current is None:
                return
            if count and not self._is_split:
                self._is_split, self._left = True, deque(lines())
                self._store.replace(0, tuple(self._left))
            while len(self._left) > count:
                self._left.popleft()
                self._store.remove(0)

    def finish(self) -> None:
        """The line that was taken is over, made or not. In a closed queue it counts as not made,
        and what is left of it stays kept."""
        with self._changed:
            while self._left and not self._closed:
                self._left.popleft()
                self._store.remove(0)
            self._current = None
            self._changed.notify_all()

    def is_cancelled(self) -> bool:
        """Whether the line being made is no longer wanted."""
        return self._cancelled

    # ── for everyone else ──────────────────────────────────────────────────────────────────────

    @property
    def current(self) -> QueuedLine | None:
        """The line being made."""
        return self._current

    @property
    def waiting(self) -> tuple[QueuedLine, ...]:
        """The lines after it, the next one first."""
        with self._changed:
            return tuple(self._waiting)

    @property
    def unfinished(self) -> int:
        """Lines that are kept for a session after this one, were this one to end now."""
        with self._changed:
            return len(self._waiting) + len(self._left)

    @property
    def paused(self) -> bool:
        """Whether no further line is begun."""
        return self._paused

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do: no line is being made and none waits."""
        with self._changed:
            return self._current is None and not self._waiting

    def put(self, lines: Iterable[str]) -> None:
        """Have these lines made after all others."""
        with self._changed:
            entries = [QueuedLine(n, line) for n, line in enumerate(lines, self._numbers + 1)]
            self._numbers += len(entries)
            self._waiting += entries
            if entries and not self._closed:
                self._store.add([entry.line for entry in entries])
            self._changed.notify_all()

    def move_to_front(self, number: int) -> QueuedLine:
        """Have a waiting line be the next. Raises BadLine when there is none of that number."""
        with self._changed:
            index = self._index(number)
            entry = self._waiting.pop(index)
            self._waiting.insert(0, entry)
            if not self._closed:
                self._store.move(index + self._ahead, self._ahead)
            return entry

    def cancel(self, number: int) -> QueuedLine:
        """Give a line up, waiting or being made. Raises BadLine when there is none of that
        number."""
        with self._changed:
            if self._current is not None and self._current.number == number:
                self._give_up()
                return self._current
            index = self._index(number)
            entry = self._waiting.pop(index)
            if not self._closed:
                self._store.remove(index + self._ahead)
            return entry

    def cancel_current(self) -> QueuedLine | None:
        """Give up the line being made, if there is one."""
        with self._changed:
            self._give_up()
            return self._current

    def cancel_all(self) -> int:
        """Give up every line; how many of them were waiting."""
        with self._changed:
            count = len(self._waiting)
            self._waiting.clear()
            if not self._closed:
                self._store.write(tuple(self._left))
            self._give_up()
            return count

    def pause(self) -> None:
        """Begin no further line. The one being made goes on."""
        self._paused = True

    def resume(self) -> None:
        """Go on with the waiting lines."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def close(self) -> None:
        """Give up the line being made and begin no other. What was not done stays kept as it is:
        nothing changes that any more."""
        with self._changed:
            self._closed = True
            self._give_up()
            self._changed.notify_all()

    # ── with the lock held ─────────────────────────────────────────────────────────────────────

    def _give_up(self) -> None:
        if self._current is not None:
            self._cancelled = True
            self._interrupt()

    def _index(self, number: int) -> int:
        for index, entry in enumerate(self._waiting):
            if entry.number == number:
                return index
        raise BadLine(f"line {number} is not in the queue", 0, "!queue lists the numbers")

    @property
    def _ahead(self) -> int:
        """Lines before those that wait."""
        return len(self._left)
