"""Converts the engine's progress, and unexpected exceptions, into events."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from dream.core.errors import EngineError
from dream.core.events import Events, Failed, Step
from dream.core.picture import Picture
from dream.engine.interface import EngineEvents, Progress
from dream.worker.crash import to_dream_error

T = TypeVar("T")


def report_crashes(events: Events[T], line: str, otherwise: T) -> Events[T]:
    """The events of one line. An unexpected exception ends them with Failed, which names the file
    with its traceback; the result is then `otherwise`."""
    try:
        return (yield from events)
    except Exception as error:
        yield Failed(error=to_dream_error(error), line=line)
        return otherwise


def convert_engine_events(
    engine_events: EngineEvents,
    picture: int,
    pictures: int,
    keep: Callable[[Progress], Events[None]] | None = None,
) -> Events[Picture]:
    """The engine's events as events, with its image as the result. `keep` saves unfinished
    images."""
    finished: Picture | None = None
    # Closing the generator is what cancels the engine's work, so close it on every way out.
    with closing(engine_events):
        for event in engine_events:
            match event:
                case Picture():
                    finished = event
                case Progress(stage, step, steps, preview):
                    if keep is not None and event.image is not None:
                        yield from keep(event)
                    yield Step(
                        stage=stage,
                        step=step,
                        steps=steps,
                        picture=picture,
                        pictures=pictures,
                        preview=preview,
                        worker=event.worker or None,
                    )
                case _:
                    yield event
    if finished is None:
        raise EngineError("the engine returned no image", "this is a bug in dream")
    return finished
