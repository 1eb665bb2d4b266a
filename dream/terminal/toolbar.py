"""The status rows below the edit line: progress, queue, model, and a check of the typed line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.utils import get_cwidth

from dream.commands import Context
from dream.commands.check_line import CheckResult
from dream.core.errors import DreamError
from dream.core.events import Event, ImageDone, LineStarted, Loading, Step
from dream.core.messages import ProgressEstimator, format_event
from dream.core.plain_text import make_printable
from dream.core.request import FLAGS
from dream.queue import LineQueue
from dream.terminal.screen import clip

_BETWEEN = "  ·  "
_MEMORY_AGE = 1.0
"""Seconds after which the worker's memory is measured again; not with each key, because reading a
file lets other threads run first."""


class Toolbar:
    """Calling it returns the rows, clipped to the terminal's width: the most important parts come
    first, and parts that do not fit are omitted."""

    def __init__(self, context: Context, queue: LineQueue, columns: Callable[[], int]) -> None:
        self.check: CheckResult | None = None
        """The check of the line being typed."""
        self.leaving = False
        """Whether the session ends when the queue is empty."""
        self._context, self._queue, self._columns = context, queue, columns
        self._estimator = ProgressEstimator()
        self._doing = ""
        self._device = ""
        self._default = ""
        self._memory, self._measured_at = 0, float("-inf")

    def handle_event(self, event: Event) -> None:
        """Update the progress and the device from an event."""
        bar = self._estimator.format_progress(event)
        match event:
            case Loading() | LineStarted():
                self._doing = format_event(event) or "starting …"
            case Step():
                self._doing = bar or ""
            case ImageDone(facts=facts):
                self._device = " ".join(facts[k] for k in ("device", "precision") if k in facts)

    def clear(self) -> None:
        """Remove the progress: the line has ended."""
        self._doing = ""

    def __call__(self) -> StyleAndTextTuples:
        """Return the styled rows."""
        room = self._columns() - 1
        rows: StyleAndTextTuples = []
        if self.check is not None:
            style = "class:toolbar.wrong" if self.check.wrong else "class:toolbar.outlook"
            rows.append((style, f"{clip(make_printable(self.check.text), room)}\n"))
        rows.append(("class:toolbar", _join_fitting(self._parts(), room)))
        return rows

    def _parts(self) -> Iterator[str]:
        """Yield the parts of the status row, the most important first."""
        if self._queue.current is not None:
            yield self._doing or "starting …"
        if waiting := self._queue.count_waiting:
            yield f"{waiting} waiting"
        if self._queue.paused:
            yield "paused"
        if self.leaving:
            yield "quits when done"
        yield self._model()
        if self._device:
            yield self._device
        if (memory := self._measure_memory() / 2**30) >= 0.1:
            yield f"{memory:.1f} GiB"
        changed = self._context.session.changed
        yield from (
            " ".join((FLAGS[name].names[0], *FLAGS[name].kind.write(value)))
            for name, value in changed.items()
            if value is not None and name != "model"
        )

    def _measure_memory(self) -> int:
        if (now := time.monotonic()) > self._measured_at + _MEMORY_AGE:
            self._measured_at = now
            self._memory = self._context.session.engine.get_memory_usage()
        return self._memory

    def _model(self) -> str:
        session = self._context.session
        if session.base.model:
            return session.base.model
        if not self._default:
            try:
                self._default = session.registry.get_default_model()
            except DreamError:
                self._default = "no model"  # the greeting showed the full error
        return self._default


def _join_fitting(parts: Iterator[str], room: int) -> str:
    """Join as many parts as fit; the first is always included, clipped if needed."""
    text = ""
    for part in map(make_printable, parts):
        longer = f"{text}{_BETWEEN}{part}" if text else part
        if text and get_cwidth(longer) > room:
            break
        text = clip(longer, room)
    return text
