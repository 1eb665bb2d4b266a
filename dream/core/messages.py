"""Formats events as lines for people. All front ends use it."""

from __future__ import annotations

import time
from collections.abc import Callable

from dream.core.events import (
    Cancelled,
    Event,
    Failed,
    Grid,
    ImageDone,
    LineStarted,
    Loading,
    Note,
    Planned,
    Rejected,
    Saved,
    Step,
    Verified,
)
from dream.core.request import FLAGS, Request

_DIFFERENCES = {"picture": "image"}
"""What a difference's key in JSON is called in a message."""


def format_event(event: Event) -> str | None:
    """The line for an event, or None for events that are not printed."""
    match event:
        case Loading(model=model):
            return f"loading {model} …"
        case Planned(line=line):
            return line
        case Saved(path=path, request=request):
            return f"{path.as_posix()}  ({_noise(request)})"
        case Grid(path=path, labelled=labelled):
            return f"{path.as_posix()}  ({'sheet' if labelled else 'grid'})"
        case Note(text=text):
            return f"· {text}"
        case Rejected(error=error, number=number):
            return f"line {number}: {error}" if number else str(error)
        case Failed(error=error):
            return f"failed: {error}"
        case Cancelled(finished=finished, count=count):
            many = count > 1 or finished
            return f"cancelled; {finished} of {count} made" if many else "cancelled"
        case Verified(path=path, line=line, same=same, near=near, differences=differs):
            what = "; ".join(
                f"{_DIFFERENCES.get(name, name)} {how}" for name, how in differs.items()
            )
            result = "same" if same else "near" if near else "DIFFERS"
            return f"{result}  {path or line}" + (f"  ({what})" if what else "")
        case _:
            return None


def _noise(request: Request) -> str:
    """The switches for an image's initial noise."""
    switches = f"-S{request.seed}"
    if request.with_variations:
        switches += " -V" + "".join(FLAGS["with_variations"].kind.write(request.with_variations))
    return switches


class NoteDeduplicator:
    """Notes of the current line, so that a note repeated for each of its images is shown once."""

    def __init__(self) -> None:
        self._notes: set[str] = set()

    def is_repeated(self, event: Event) -> bool:
        """Whether it is a note that was already shown for this line."""
        if isinstance(event, LineStarted):
            self._notes.clear()
        if not isinstance(event, Note):
            return False
        known = event.text in self._notes
        self._notes.add(event.text)
        return known


class ProgressEstimator:
    """Estimates speed and remaining time from the steps of the current stage."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage: tuple[str, int] | None = None
        self._began = 0.0
        self._first = self._last = 0
        self._turn: tuple[int, int] | None = None
        self._line_began = self._lines_began = 0.0
        self._first_line = 0
        self._workers: dict[str, str] = {}

    def format_progress(self, event: Event) -> str | None:
        """A progress line for a Step; None for other events, which only update the state."""
        if isinstance(event, ImageDone | Failed | Cancelled):
            self._workers.clear()  # those that still work report their next step
        if isinstance(event, LineStarted):
            self._stage = None
            self._start_line(event)
        if not isinstance(event, Step):
            return None
        now = self._clock()
        if self._stage != (event.stage, event.picture) or event.step < self._last:
            # The first step is already done when its event arrives: measure the steps after it.
            # A lower step than the last is another image's, as when a list is verified.
            self._stage, self._began, self._first = (event.stage, event.picture), now, event.step
        self._last = event.step
        done, elapsed = event.step - self._first, now - self._began
        rate = done / elapsed if done and elapsed > 0 else 0.0
        if event.stage == "fetch":
            return _format_download(
                event.step, event.steps, now - self._began, event.step - self._first
            )
        parts = [f"{event.stage} {event.step}/{event.steps}"]
        if event.pictures > 1:
            parts.insert(0, f"image {event.picture}/{event.pictures}")
        if event.worker is not None:
            step = f"{event.worker} {' '.join(parts)}"
            self._workers[event.worker] = step
            return "  ·  ".join(dict(sorted(self._workers.items())).values())
        if self._turn is not None:
            parts.insert(0, f"line {self._turn[0]}/{self._turn[1]}")
        if rate:
            parts.append(f"{rate:.2f} it/s" if rate >= 1 else f"{1 / rate:.2f} s/it")
            left = (event.steps - event.step) / rate
            if event.stage == "render":
                left += (event.pictures - event.picture) * event.steps / rate
            parts.append(f"{format_duration(left + self._lines_left())} left")
        return "  ".join(parts)

    def _start_line(self, event: LineStarted) -> None:
        """Record which line of how many has started."""
        if event.turn is None or event.turns is None or event.turns < 2:
            self._turn = None
            return
        self._line_began = self._clock()
        if self._turn is None or event.turn < self._turn[0]:
            self._first_line, self._lines_began = event.turn, self._line_began
        self._turn = (event.turn, event.turns)

    def _lines_left(self) -> float:
        """Estimated seconds for the lines after this one; 0 without earlier ones to measure."""
        if self._turn is None or self._turn[0] == self._first_line:
            return 0.0
        line, lines = self._turn
        before = self._line_began - self._lines_began
        return (lines - line) * before / (line - self._first_line)


def _format_download(arrived: int, total: int, seconds: float, recent: int) -> str:
    """Progress of a download: bytes arrived, of `total` (0: unknown); `recent` in `seconds`."""
    parts = [f"downloading {arrived / 1e6:.1f}" + (f" of {total / 1e6:.1f} MB" if total else " MB")]
    if recent and seconds > 0:
        parts.append(f"{recent / seconds / 1e6:.1f} MB/s")
        if total:
            parts.append(f"{format_duration((total - arrived) * seconds / recent)} left")
    return "  ".join(parts)


def format_duration(seconds: float) -> str:
    """Seconds as `0:07`, `12:30` or `1:02:03`."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    clock = f"{minutes}:{whole % 60:02d}"
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else clock


def count_lines(count: int) -> str:
    """`1 line`, `3 lines`."""
    return "1 line" if count == 1 else f"{count} lines"
