"""Ctrl-C at the front doors that make each line before they take the next, answered in one place.

It is raised as KeyboardInterrupt inside the generator of events, and nowhere else: not while a line
is drawn, not between two prompts, not in prompt_toolkit's own handling of the terminal. Pressed at
such a moment it is remembered, and thrown in at the next. Where in the events it is answered is
theirs: while pictures are made, the studio has SIGINT.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from inspect import GEN_RUNNING, getgeneratorstate
from types import FrameType, TracebackType

from dream.core.events import Cancelled, Event, Events


class Interrupts:
    """Used as a context manager, it holds SIGINT for as long as the program runs."""

    def __init__(self) -> None:
        self._events: Events[None] | None = None
        self._pressed = False

    def __enter__(self) -> Interrupts:
        self._former = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._former)

    def follow(self, events: Events[None], show: Callable[[Event], None]) -> None:
        """Show all events. Ctrl-C is theirs to answer; once it was given to them they are left in
        peace until their next event."""
        self._events = events
        try:
            while True:
                if self._pressed:
                    self._pressed = False
                    event = events.throw(KeyboardInterrupt())
                else:
                    event = next(events)
                self._events = events
                show(event)
        except StopIteration:
            pass
        except KeyboardInterrupt:
            # They had no answer of their own, as a command that only looks something up.
            show(Cancelled(finished=0, count=0))
        finally:
            self._events, self._pressed = None, False

    def _press(self, number: int, frame: FrameType | None) -> None:
        if self._events is not None and getgeneratorstate(self._events) == GEN_RUNNING:
            self._events = None
            raise KeyboardInterrupt
        self._pressed = True
