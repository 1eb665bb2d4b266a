"""Where Ctrl-C is answered while pictures are made: at events alone, and between a picture's Made
and its Saved at none."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import GEN_CLOSED, getgeneratorstate
from typing import TypeVar

from dream.core.events import Cancelled, Events

T = TypeVar("T")


def interrupt_at_events(events: Events[T], wake: Callable[[], None]) -> Events[T]:
    """These events, among which a KeyboardInterrupt is raised where they wait for their reader, and
    nowhere else. Python raises it in the middle of whatever the main thread does: a file half
    written, a message half sent. Pressed at such a moment, it comes with the next event; `wake` is
    called at once, for whoever waits for a worker. Raised behind the last event."""
    pressed: list[int] = []

    def press(number: int, frame: object) -> None:
        pressed.append(number)
        wake()

    thrown: KeyboardInterrupt | None = None
    while True:
        try:
            with _sigint(press):
                event = next(events) if thrown is None else events.throw(thrown)
            thrown = None
            yield event
        except StopIteration as end:
            result: T = end.value
            break
        except KeyboardInterrupt as interrupt:
            if getgeneratorstate(events) == GEN_CLOSED:
                raise
            thrown = interrupt
        except GeneratorExit:
            with _sigint(press):
                events.close()
            raise
        if pressed and not isinstance(event, Cancelled):  # else they were woken, and said it
            thrown = KeyboardInterrupt()
        pressed.clear()
    if pressed:
        raise KeyboardInterrupt
    return result


def run_uninterrupted(events: Events[T]) -> Events[T]:
    """These events to their end, and only then what came meanwhile: a KeyboardInterrupt, or that
    nobody wants further events. They must raise nothing, or it would take the Ctrl-C's place."""
    interrupted = None
    try:
        event = next(events)
        while True:
            try:
                yield event
            except KeyboardInterrupt as interrupt:
                interrupted = interrupt
            except GeneratorExit:
                deque(events, maxlen=0)
                raise
            event = next(events)
    except StopIteration as end:
        result: T = end.value
    if interrupted is not None:
        raise interrupted
    return result


@contextmanager
def _sigint(handler: Callable[[int, object], None]) -> Iterator[None]:
    """SIGINT is handled so within the block, where it is Python's to raise: in the main thread."""
    former = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(former):
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
