"""Run a download in a thread and yield its progress as events."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

from dream.core.events import Events, Note, Step

if TYPE_CHECKING:
    from dream.catalogue.download import OnProgress

_INTERVAL = 0.1
"""Seconds between two progress events."""
_PATIENCE = 0.3
"""Seconds without progress after which the last event is repeated, so that it can be cancelled."""


class _DownloadCancelled(Exception):
    """The download was cancelled."""


def follow_download(work: Callable[[OnProgress, Callable[[str], None]], None]) -> Events[None]:
    """Run a download in a thread; yield its progress as Steps and its messages as Notes. Ctrl-C
    or closing the generator stops it at once; received data is kept. Raises what `work` raises."""
    events: SimpleQueue[Step | Note | BaseException | None] = SimpleQueue()
    closed, last = Event(), [0.0]

    def on_progress(arrived: int, of: int) -> None:
        if closed.is_set():
            raise _DownloadCancelled
        if (now := time.monotonic()) - last[0] > _INTERVAL or arrived == of:
            last[0] = now
            events.put(Step(stage="fetch", step=arrived, steps=of, picture=1, pictures=1))

    def run() -> None:
        try:
            work(on_progress, lambda text: events.put(Note(text=text)))
            events.put(None)
        except BaseException as error:
            events.put(error)

    Thread(target=run, name="fetch", daemon=True).start()
    latest = Step(stage="fetch", step=0, steps=0, picture=1, pictures=1)
    try:
        while True:
            try:
                event = events.get(timeout=_PATIENCE)
            except Empty:  # no data: let the caller cancel
                event = latest
            if event is None:
                return
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, Step):
                latest = event
            yield event
    finally:
        closed.set()
