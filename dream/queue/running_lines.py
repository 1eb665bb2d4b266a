"""The lines of a queue that are running, and what is stored for each of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dream.core.request import Request
from dream.queue.queue_store import QueueStore


@dataclass(frozen=True)
class QueuedLine:
    """A line in the queue."""

    number: int
    """From 1, in the order in which lines were queued; unique in a session."""
    line: str
    request: Request | None = None
    """What is made instead of the line, for a front door that has no line; the line means it."""
    notes: tuple[str, ...] = ()  # shown when it begins
    owner: str = ""
    """The client that it is from; empty for the prompt."""


@dataclass(frozen=True)
class UncheckedLine:
    """An entered line that is not checked yet: it may need an answer, or run at once."""

    line: str
    is_shown: bool
    """Whether the user sees it on the screen, because it was typed and not pasted."""


@dataclass(eq=False)
class RunningLine:
    """A line that was taken from the queue."""

    entry: QueuedLine
    left: deque[str]
    """What is stored for it: the line, or a line for each image that is not on disk."""
    is_split: bool = False
    is_cancelled: bool = False
    has_ended: bool = False


class RunningLines:
    """In the order in which they began, which is that of their stored lines, before all others. Not
    thread-safe."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store
        self._lines: list[RunningLine] = []

    def begin(self, entry: QueuedLine) -> None:
        """A line begins, which is stored behind those that run."""
        self._lines.append(RunningLine(entry, deque([entry.line])))

    @property
    def entries(self) -> tuple[QueuedLine, ...]:
        """The lines that have not ended."""
        return tuple(line.entry for line in self._lines if not line.has_ended)

    def find(self, number: int) -> RunningLine | None:
        """The line of that number; the one that began first for 0."""
        running = (line for line in self._lines if not line.has_ended)
        return next((line for line in running if number in (0, line.entry.number)), None)

    @property
    def stored(self) -> list[str]:
        """All that is stored for them, also for those that ended in a closed queue."""
        return [text for line in self._lines for text in line.left]

    def cancel_all(self) -> bool:
        """Mark them as cancelled; whether there are any."""
        running = [line for line in self._lines if not line.has_ended]
        for line in running:
            line.is_cancelled = True
        return bool(running)

    def keep_rest(
        self, line: RunningLine, count: int, lines: Callable[[], Sequence[str]], before: int
    ) -> None:
        """See `LineQueue.keep_rest`."""
        place = self._place_of(line)
        if count and not line.is_split:
            line.is_split, line.left = True, deque(lines())
            self._store.replace(place, tuple(line.left))
        while len(line.left) > count:
            gone = min(before, len(line.left) - 1)
            del line.left[gone]
            self._store.remove(place + gone)

    def end(self, line: RunningLine, *, keep: bool) -> None:
        """A line has ended; with `keep`, what is left of it stays stored."""
        line.has_ended = True
        if keep:
            return
        place = self._place_of(line)
        while line.left:
            line.left.popleft()
            self._store.remove(place)
        self._lines.remove(line)

    def _place_of(self, line: RunningLine) -> int:
        return sum(len(one.left) for one in self._lines[: self._lines.index(line)])
