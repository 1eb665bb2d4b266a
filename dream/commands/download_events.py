"""A download, told as events; given up within a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

from dream.core.events import Events, Note, Step

if TYPE_CHECKING:
    from dream.catalogue.download import OnProgress

_OFTEN = 0.1
"""Seconds between two words about it."""
_PATIENCE = 0.3
"""Seconds of silence after which the last word is said again: only then can it be given up."""


class _Unwanted(Exception):
    """Nobody waits for the download any more."""


def follow_download(work: Callable[[OnProgress, Callable[[str], None]], None]) -> Events[None]:
    """A download, in a thread; how far it is, as Steps, and what it says, as Notes. Ctrl-C or
    closing ends it within a moment; what has arrived is kept. Raises what the work raises."""
    told: SimpleQueue[Step | Note | BaseException | None] = SimpleQueue()
    closed, last = Event(), [0.0]

    def on_progress(arrived: int, of: int) -> None:
        if closed.is_set():
            raise _Unwanted
        if (now := time.monotonic()) - last[0] > _OFTEN or arrived == of:
            last[0] = now
            told.put(Step(stage="fetch", step=arrived, steps=of, picture=1, pictures=1))

    def run() -> None:
        try:
            work(on_progress, lambda text: told.put(Note(text=text)))
            told.put(None)
        except BaseException as error:
            told.put(error)

    Thread(target=run, name="fetch", daemon=True).start()
    latest = Step(stage="fetch", step=0, steps=0, picture=1, pictures=1)
    try:
        while True:
            try:
                happening = told.get(timeout=_PATIENCE)
            except Empty:  # a server that is silent, and perhaps a person who has had enough
                happening = latest
            if happening is None:
                return
            if isinstance(happening, BaseException):
                raise happening
            if isinstance(happening, Step):
                latest = happening
            yield happening
    finally:
        closed.set()
