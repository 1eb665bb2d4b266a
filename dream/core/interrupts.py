"""Handles Ctrl-C in one place for front ends that run one line after the other.

It is raised as KeyboardInterrupt inside the generator of events, and nowhere else: not while text
is printed, not between two prompts, not in prompt_toolkit's handling of the terminal. A Ctrl-C at
such a moment is remembered and raised at the next event. The generator decides how to handle it;
while images are generated, the session handles SIGINT itself.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from inspect import GEN_RUNNING, getgeneratorstate
from types import FrameType, TracebackType

from dream.core.events import Cancelled, Event, Events


class Interrupts:
    """Handles SIGINT while it is used as a context manager."""

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
        """Show all events. Ctrl-C is raised inside them, at most once until their next event."""
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
            # The generator does not handle it, such as a command that only looks something up.
            show(Cancelled(finished=0, count=0))
        finally:
            self._events, self._pressed = None, False

    def _press(self, number: int, frame: FrameType | None) -> None:
        if self._events is not None and getgeneratorstate(self._events) == GEN_RUNNING:
            self._events = None
            raise KeyboardInterrupt
        self._pressed = True
