"""The queue: the current line, the waiting lines, and entered lines that are not checked yet."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from dream.core.errors import BadLine
from dream.core.request import Request
from dream.queue.queue_store import NoStore, QueueStore
from dream.queue.running_lines import QueuedLine, RunningLines, UncheckedLine


class LineQueue:
    """Returns queued lines one at a time. Every method may be called from any thread.

    One thread takes a line, runs it and calls `finish`; others put, list, move and cancel. The
    store holds the current line (or what is left of it), the waiting lines and, after
    `store_unchecked`, the unchecked lines, in this order.
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
        self._unchecked: deque[UncheckedLine] = deque()
        self._unstored = 0  # the last of them, which are not in the store
        self._running = RunningLines(store)
        self._numbers = 0
        self._paused = self._closed = False
        self._watchers: list[Callable[[], None]] = []

    # ── for the thread that runs the lines ─────────────────────────────────────────────────────

    def take(self) -> QueuedLine | None:
        """Wait for the next line, and for the end of a pause; None once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._waiting and not self._paused))
            return None if self._closed else self._take(0)

    def take_another(
        self, choose: Callable[[Sequence[QueuedLine]], QueuedLine | None]
    ) -> QueuedLine | None:
        """One more line beside those that run, which `choose` takes from the waiting ones; without
        waiting for one."""
        with self._changed:
            if self._closed or self._paused or not self._waiting:
                return None
            entry = choose(self._waiting)
            return None if entry is None else self._take(self._waiting.index(entry))

    def keep_rest(
        self, count: int, lines: Callable[[], Sequence[str]], number: int = 0, before: int = 0
    ) -> None:
        """Store `count` lines, one for each image of a running line that is not on disk yet, so
        that a later session makes no image twice. `lines` is called for the first of them; from
        then on each image removes a line, behind those of the `before` images that are missing."""
        with self._changed:
            if (running := self._running.find(number)) is not None:
                self._running.keep_rest(running, count, lines, before)

    def finish(self, number: int = 0) -> None:
        """A line, the first without a number, has ended, successfully or not. In a closed queue it
        counts as unfinished: what is left of it stays stored."""
        with self._changed:
            if (running := self._running.find(number)) is not None:
                self._running.end(running, keep=self._closed)
            self._notify()

    def is_cancelled(self, number: int = 0) -> bool:
        """Whether a running line was cancelled."""
        running = self._running.find(number)
        return running is not None and running.is_cancelled

    # ── lines that are not checked yet ─────────────────────────────────────────────────────────

    def add_unchecked(self, lines: Sequence[UncheckedLine]) -> None:
        """Add entered lines, which are checked one after the other. They are not stored yet."""
        with self._changed:
            self._unchecked += lines
            self._unstored += len(lines)

    def store_unchecked(self) -> None:
        """Store all unchecked lines, because checking them takes a while, or the session ends."""
        with self._changed:
            new = len(self._unchecked) - self._unstored
            if self._unstored and not self._closed:
                self._store.add([entry.line for entry in list(self._unchecked)[new:]])
                self._unstored = 0

    @property
    def next_unchecked(self) -> UncheckedLine | None:
        """The unchecked line that was entered first."""
        with self._changed:
            return self._unchecked[0] if self._unchecked else None

    def resolve_unchecked(self, entry: UncheckedLine, lines: Sequence[str]) -> None:
        """Queue these lines in place of the first unchecked line, which is `entry`, or was
        cancelled meanwhile; none if it runs at once."""
        with self._changed:
            if not self._unchecked or self._unchecked[0] is not entry:
                return
            is_stored = self._unstored < len(self._unchecked)
            place = self._ahead + len(self._waiting)
            self._unchecked.popleft()
            self._unstored -= not is_stored
            if self._closed or (is_stored and list(lines) == [entry.line]):
                pass  # nothing changes on disk
            elif is_stored and lines:
                self._store.replace(place, lines)
            elif is_stored:
                self._store.remove(place)
            elif lines:
                self._store.add(lines)
            self._add(lines)

    # ── for everyone else ──────────────────────────────────────────────────────────────────────

    @property
    def current(self) -> QueuedLine | None:
        """The line that is running; of several, the one that began first."""
        running = self._running.find(0)
        return running.entry if running else None

    @property
    def running(self) -> tuple[QueuedLine, ...]:
        """The lines that are running."""
        return self._running.entries

    @property
    def waiting(self) -> tuple[QueuedLine, ...]:
        """The lines after it, the next one first; without the unchecked ones."""
        with self._changed:
            return tuple(self._waiting)

    @property
    def count_waiting(self) -> int:
        """The number of lines after the current one, with the unchecked ones."""
        with self._changed:
            return len(self._waiting) + len(self._unchecked)

    @property
    def unfinished(self) -> int:
        """The number of lines that a later session is offered if this one ends now."""
        with self._changed:
            return self._ahead + len(self._waiting) + len(self._unchecked) - self._unstored

    @property
    def paused(self) -> bool:
        """Whether no further line is started."""
        return self._paused

    @property
    def idle(self) -> bool:
        """Whether no line is running and none waits."""
        with self._changed:
            return not self._running.entries and not self._waiting and not self._unchecked

    def watch(self, callback: Callable[[], None]) -> None:
        """Call this after each change of the lines, in the thread that made it. It returns soon."""
        self._watchers.append(callback)

    def put(
        self,
        lines: Iterable[str],
        request: Request | None = None,
        notes: Sequence[str] = (),
        owner: str = "",
    ) -> tuple[int, ...]:
        """Add lines after all waiting lines, before the unchecked ones; their numbers. With a
        `request`, which is what the line means, that is made, and `notes` are shown first."""
        with self._changed:
            added = list(lines)
            if added and not self._closed:
                place = self._ahead + len(self._waiting)
                stored = len(self._unchecked) - self._unstored
                self._store.add(added)
                for n in range(len(added) if stored else 0):
                    self._store.move(place + stored + n, place + n)
            return self._add(added, request, tuple(notes), owner)

    def move(self, number: int, place: int) -> QueuedLine:
        """Move a waiting line to a place among the waiting ones, from 0; behind the last one it
        becomes the last. Raises BadLine if no line has this number."""
        with self._changed:
            index = self._index(number)
            entry = self._waiting.pop(index)
            place = max(0, min(place, len(self._waiting)))
            self._waiting.insert(place, entry)
            if not self._closed:
                self._store.move(index + self._ahead, place + self._ahead)
            self._notify()
            return entry

    def move_to_front(self, number: int) -> QueuedLine:
        """Make a waiting line the next one. Raises BadLine if no line has this number."""
        return self.move(number, 0)

    def cancel(self, number: int) -> QueuedLine:
        """Cancel the current or a waiting line. Raises BadLine if no line has this number."""
        with self._changed:
            if (running := self._running.find(number)) is not None:
                running.is_cancelled = True
                self._interrupt()
                return running.entry
            index = self._index(number)
            entry = self._waiting.pop(index)
            if not self._closed:
                self._store.remove(index + self._ahead)
            self._notify()
            return entry

    def cancel_current(self) -> QueuedLine | None:
        """Cancel the lines that are running; the first of them."""
        with self._changed:
            self._cancel_running()
            return self.current

    def cancel_all(self) -> int:
        """Cancel every line; the number of those that were waiting."""
        with self._changed:
            count = len(self._waiting) + len(self._unchecked)
            self._waiting.clear()
            self._unchecked.clear()
            self._unstored = 0
            if not self._closed:
                self._store.write(tuple(self._running.stored))
            self._cancel_running()
            self._notify()
            return count

    def pause(self) -> None:
        """Start no further line. The current one continues."""
        with self._changed:
            self._paused = True
            self._notify()

    def resume(self) -> None:
        """Continue with the waiting lines."""
        with self._changed:
            self._paused = False
            self._notify()

    def close(self) -> None:
        """Cancel the current line and start no other. Unfinished lines stay stored as they are."""
        with self._changed:
            self._closed = True
            self._cancel_running()
            self._notify()

    # ── with the lock held ─────────────────────────────────────────────────────────────────────

    def _notify(self) -> None:
        self._changed.notify_all()
        for callback in self._watchers:
            callback()

    def _add(
        self,
        lines: Iterable[str],
        request: Request | None = None,
        notes: tuple[str, ...] = (),
        owner: str = "",
    ) -> tuple[int, ...]:
        first = self._numbers + 1
        new = [QueuedLine(n, line, request, notes, owner) for n, line in enumerate(lines, first)]
        self._numbers += len(new)
        self._waiting += new
        self._notify()
        return tuple(entry.number for entry in new)

    def _take(self, index: int) -> QueuedLine:
        entry = self._waiting.pop(index)
        if index:
            self._store.move(self._ahead + index, self._ahead)
        self._running.begin(entry)
        self._notify()
        return entry

    def _cancel_running(self) -> None:
        if self._running.cancel_all():
            self._interrupt()

    def _index(self, number: int) -> int:
        for index, entry in enumerate(self._waiting):
            if entry.number == number:
                return index
        raise BadLine(f"line {number} is not in the queue", 0, "!queue lists the numbers")

    @property
    def _ahead(self) -> int:
        """Stored lines before the waiting ones."""
        return len(self._running.stored)
