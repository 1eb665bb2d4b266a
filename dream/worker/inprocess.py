"""The engine without a process of its own: for scripts that have torch loaded anyway, and tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Generic, TypeVar

from dream.catalogue import Shelf
from dream.engine.base import Happenings, Loadings, Machine, Progress, Stopped, Tell
from dream.events import Loading, Note
from dream.picture import Picture
from dream.recipe import Recipe
from dream.stages import Stage
from dream.text_mask import TextMask
from dream.worker.process import resident
from dream.worker.wire import Finish, Render, Seek
from dream.worker.workshop import Workshop


class InProcessEngine:
    """The same pictures as `WorkerEngine`, bit for bit. What crashes it crashes you."""

    def __init__(
        self,
        shelf: Shelf,
        machine: Machine = Machine(),  # noqa: B008 - frozen
    ) -> None:
        """Imports torch. Raises SetupError and BadSetting."""
        self._workshop = Workshop(shelf, machine)

    def render(self, recipe: Recipe, every: int = 0) -> Happenings:
        """See `dream.engine.base.Engine`."""
        yield (yield from _stream(lambda tell: self._workshop.do(Render(recipe, every), tell)))

    def finish(self, picture: Picture, stage: Stage) -> Happenings:
        """See `dream.engine.base.Engine`."""
        yield (yield from _stream(lambda tell: self._workshop.do(Finish(picture, stage), tell)))

    def load(self, model: str, weights: str = "") -> Loadings:
        """See `dream.engine.base.Engine`."""
        yield from _stream(lambda tell: self._workshop.load(model, tell, weights))

    def convert(self, model: str, folder: Path) -> Loadings:
        """See `dream.engine.base.Engine`."""
        yield from _stream(lambda tell: self._workshop.convert(model, folder, tell))

    def seek(self, image: Path, asked: TextMask, mask: Path, heat: Path) -> Loadings:
        """See `dream.engine.base.Engine`."""
        yield from _stream(lambda tell: self._workshop.seek(Seek(image, asked, mask, heat), tell))

    def loaded(self) -> tuple[str, ...]:
        """See `dream.engine.base.Engine`."""
        return self._workshop.loaded()

    def memory(self) -> int:
        """See `dream.engine.base.Engine`."""
        return resident(os.getpid())

    def warm(self, model: str) -> None:
        """Load a model now: here there is nobody to do it meanwhile."""
        with suppress(Exception):
            self._workshop.load(model, lambda happening: None)

    def interrupt(self) -> None:
        """Does nothing: here each step is told, and the next one is soon enough."""

    def restart(self) -> None:
        """Does nothing: there is no process but this one."""

    def close(self) -> None:
        """Give the model's memory back."""
        self._workshop.close()


T = TypeVar("T")


@dataclass(frozen=True)
class _Raised:
    error: BaseException


@dataclass(frozen=True)
class _Result(Generic[T]):
    value: T


def _stream(work: Callable[[Tell], T]) -> Generator[Progress | Note | Loading, None, T]:
    """Work that calls back, as a generator with the work's result. Closing it waits until the
    work has stopped."""
    told: SimpleQueue[Progress | Note | Loading | _Result[T] | _Raised] = SimpleQueue()
    closed = Event()

    def tell(happening: Progress | Note | Loading) -> None:
        if closed.is_set():
            raise Stopped
        told.put(happening)

    def run() -> None:
        try:
            told.put(_Result(work(tell)))
        except BaseException as error:
            told.put(_Raised(error))

    thread = Thread(target=run, name="painter", daemon=True)
    thread.start()
    try:
        while True:
            match told.get():
                case _Raised(error):
                    raise error
                case _Result(value):
                    return value
                case happening:
                    yield happening
    finally:
        closed.set()
        thread.join()
