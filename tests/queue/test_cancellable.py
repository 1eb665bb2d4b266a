from __future__ import annotations

from dream.core.events import Cancelled, Event, Events, ImageDone, Note
from dream.queue import follow_until_cancelled


def seen(events: Events[None], stop_at: int) -> list[str]:
    """What is shown when the line is given up once so many events were shown."""
    shown: list[Event] = []
    follow_until_cancelled(events, lambda: len(shown) >= stop_at, shown.append)
    return [event.text if isinstance(event, Note) else event.name for event in shown]


def picture(woken: bool = False) -> Events[None]:
    try:
        yield Note(text="step")
        if woken:
            raise KeyboardInterrupt
        yield ImageDone(picture=1, pictures=1, seconds=1)
        yield Note(text="saved")
        yield Note(text="more")
    except KeyboardInterrupt:
        yield Cancelled(finished=0, count=1)
        yield Note(text="sum")


def test_all_is_shown() -> None:
    assert seen(picture(), 99) == ["step", "made", "saved", "more"]


def test_giving_up_ends_it_at_the_next_event() -> None:
    assert seen(picture(), 1) == ["step", "cancelled", "sum"]


def test_one_that_was_woken_already_is_left_in_peace() -> None:
    assert seen(picture(woken=True), 2) == ["step", "cancelled", "sum"]


def test_one_without_an_answer_of_its_own_is_said_to_be_cancelled() -> None:
    def plain() -> Events[None]:
        yield Note(text="a")
        yield Note(text="b")

    assert seen(plain(), 1) == ["a", "cancelled"]
