"""Follows the events of one line, and cancels it."""

from __future__ import annotations

from collections.abc import Callable

from dream.core.events import Cancelled, Event, Events


def follow_until_cancelled(
    events: Events[None], is_cancelled: Callable[[], bool], show: Callable[[Event], None]
) -> None:
    """Show all events. Once `is_cancelled` returns True, KeyboardInterrupt is raised in them, once;
    the events report how the line ends."""
    thrown = False
    try:
        event = next(events)
        while True:
            show(event)
            # they were woken before we could say it
            thrown = thrown or isinstance(event, Cancelled)
            if thrown or not is_cancelled():
                event = next(events)
            else:
                thrown = True
                event = events.throw(KeyboardInterrupt())
    except StopIteration:
        pass
    except KeyboardInterrupt:
        # They had no answer of their own, as a command that only looks something up.
        show(Cancelled(finished=0, count=0))
