"""One line's events, and how it is given up."""

from __future__ import annotations

from collections.abc import Callable

from dream.core.events import Cancelled, Event, Events


def follow_until_cancelled(
    events: Events[None], given_up: Callable[[], bool], show: Callable[[Event], None]
) -> None:
    """Show all events. Once the line is `given_up`, KeyboardInterrupt is raised inside the events,
    once, and how they end is theirs to say."""
    told = False
    try:
        event = next(events)
        while True:
            show(event)
            told = told or isinstance(event, Cancelled)  # they were woken before we could say it
            if told or not given_up():
                event = next(events)
            else:
                told = True
                event = events.throw(KeyboardInterrupt())
    except StopIteration:
        pass
    except KeyboardInterrupt:
        # They had no answer of their own, as a command that only looks something up.
        show(Cancelled(finished=0, count=0))
