"""What the engine does, and what nobody foresaw, told as events."""

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
    """The events of one line. An exception that is no DreamError ends them with Failed, which names
    the file that holds its traceback; the result is `otherwise` then."""
    try:
        return (yield from events)
    except Exception as error:
        yield Failed(error=to_dream_error(error), line=line)
        return otherwise


def convert_engine_events(
    happenings: EngineEvents,
    picture: int,
    pictures: int,
    keep: Callable[[Progress], Events[None]] | None = None,
) -> Events[Picture]:
    """The engine's happenings as events; its picture as the result. `keep` keeps the picture in
    the making, where there is one."""
    made: Picture | None = None
    # Closing the generator is what cancels the engine's work, so close it on every way out.
    with closing(happenings):
        for happening in happenings:
            match happening:
                case Picture():
                    made = happening
                case Progress(stage, step, steps, preview):
                    if keep is not None and happening.image is not None:
                        yield from keep(happening)
                    yield Step(
                        stage=stage,
                        step=step,
                        steps=steps,
                        picture=picture,
                        pictures=pictures,
                        preview=preview,
                    )
                case _:
                    yield happening
    if made is None:
        raise EngineError("the engine made no picture", "this is a bug in dream")
    return made
