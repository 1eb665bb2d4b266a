"""Handles Ctrl-C during rendering: only between events, and never between an image's ImageDone and
its Saved."""

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
    """Yield the events, and raise KeyboardInterrupt in them only where they wait for their reader.
    Python would raise it anywhere in the main thread, such as while a file is being written or a
    message sent. If Ctrl-C is pressed at such a moment, it is raised with the next event; `wake` is
    called at once, for a thread that waits for the worker. If it is pressed after the last event,
    it is raised then."""
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
        # if it is Cancelled, the waiting thread was woken and has reported it
        if pressed and not isinstance(event, Cancelled):
            thrown = KeyboardInterrupt()
        pressed.clear()
    if pressed:
        raise KeyboardInterrupt
    return result


def run_uninterrupted(events: Events[T]) -> Events[T]:
    """Yield all events, and only then raise a KeyboardInterrupt that came meanwhile; the same if no
    further events are wanted. The events must not raise, since that would replace the
    KeyboardInterrupt."""
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
    """Handle SIGINT with `handler` during the block, in the main thread, where Python handles
    it."""
    former = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(former):
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
