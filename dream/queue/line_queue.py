"""The queue: the current line and the waiting lines, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dream.core.errors import BadLine


class QueueStore(Protocol):
    """Stores all unfinished lines, the current one first."""

    def add(self, lines: Sequence[str]) -> None:
        """Append these lines."""

    def remove(self, place: int) -> None:
        """Remove the line at this place, from 0: it is done or cancelled."""

    def move(self, place: int, to: int) -> None:
        """Move the line at this place to another."""

    def replace(self, place: int, lines: Sequence[str]) -> None:
        """Replace the line at this place by these."""

    def write(self, lines: Sequence[str]) -> None:
        """Replace all lines by these."""


class NoStore:
    """Stores nothing."""

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
    """From 1, in the order they were entered; unique in a session."""
    line: str


class LineQueue:
    """A queue of lines. Every method may be called from any thread.

    One thread takes a line, runs it and calls `finish`; the others add, read, move and cancel
    lines.
    """

    def __init__(
        self,
        store: QueueStore = NoStore(),  # noqa: B008 - it has no state
        interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        """`store` is called with each change. `interrupt` is called when the current line is
        cancelled, to wake the thread that waits for its image; it must return at once."""
        self._store, self._interrupt = store, interrupt
        self._changed = threading.Condition()
        self._waiting: list[QueuedLine] = []
        self._current: QueuedLine | None = None
        self._left: deque[str] = deque()
        """What is stored of the current line: the line, or a line for each image that is not on
        disk."""
        self._numbers = 0
        self._cancelled = self._paused = self._closed = self._is_split = False

    # ── for the thread that runs the lines ─────────────────────────────────────────────────────

    def take(self) -> QueuedLine | None:
        """Wait for the next line, and while the queue is paused; None once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._waiting and not self._paused))
            if self._closed:
                return None
            self._current, self._cancelled = self._waiting.pop(0), False
            self._left, self._is_split = deque([self._current.line]), False
            return self._current

    def keep_rest(self, count: int, lines: Callable[[], Sequence[str]]) -> None:
        """Replace the current line in the store: `count` of its images are not on disk yet, and
        `lines` returns a line for each, so that the next session does not generate an image twice.
        `lines` is called for the first image; each further image removes one line."""
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
        """The line that was taken has ended, successfully or not. In a closed queue it counts as
        unfinished, and the rest of it stays in the store."""
        with self._changed:
            while self._left and not self._closed:
                self._left.popleft()
                self._store.remove(0)
            self._current = None
            self._changed.notify_all()

    def is_cancelled(self) -> bool:
        """Whether the current line has been cancelled."""
        return self._cancelled

    # ── for all threads ────────────────────────────────────────────────────────────────────────

    @property
    def current(self) -> QueuedLine | None:
        """The line that is running."""
        return self._current

    @property
    def waiting(self) -> tuple[QueuedLine, ...]:
        """The waiting lines, the next one first."""
        with self._changed:
            return tuple(self._waiting)

    @property
    def unfinished(self) -> int:
        """Number of lines that the next session would get if this one ended now."""
        with self._changed:
            return len(self._waiting) + len(self._left)

    @property
    def paused(self) -> bool:
        """Whether no further line is started."""
        return self._paused

    @property
    def idle(self) -> bool:
        """Whether no line is running and none is waiting."""
        with self._changed:
            return self._current is None and not self._waiting

    def put(self, lines: Iterable[str]) -> None:
        """Add these lines at the end."""
        with self._changed:
            entries = [QueuedLine(n, line) for n, line in enumerate(lines, self._numbers + 1)]
            self._numbers += len(entries)
            self._waiting += entries
            if entries and not self._closed:
                self._store.add([entry.line for entry in entries])
            self._changed.notify_all()

    def move_to_front(self, number: int) -> QueuedLine:
        """Move a waiting line to the front. Raises BadLine if there is none with that number."""
        with self._changed:
            index = self._index(number)
            entry = self._waiting.pop(index)
            self._waiting.insert(0, entry)
            if not self._closed:
                self._store.move(index + self._ahead, self._ahead)
            return entry

    def cancel(self, number: int) -> QueuedLine:
        """Cancel a line, waiting or running. Raises BadLine if there is none with that number."""
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
        """Cancel the current line, if there is one."""
        with self._changed:
            self._give_up()
            return self._current

    def cancel_all(self) -> int:
        """Cancel every line; returns how many were waiting."""
        with self._changed:
            count = len(self._waiting)
            self._waiting.clear()
            if not self._closed:
                self._store.write(tuple(self._left))
            self._give_up()
            return count

    def pause(self) -> None:
        """Start no further line. The current one continues."""
        self._paused = True

    def resume(self) -> None:
        """Continue with the waiting lines."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def close(self) -> None:
        """Cancel the current line and start no other. Unfinished lines stay in the store, which no
        longer changes."""
        with self._changed:
            self._closed = True
            self._give_up()
            self._changed.notify_all()

    # ── the lock is held ───────────────────────────────────────────────────────────────────────

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
        """Number of stored lines before the waiting ones."""
        return len(self._left)
