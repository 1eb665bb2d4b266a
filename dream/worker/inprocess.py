"""The engine without a process of its own: for scripts that have torch loaded anyway, and tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Thread

from dream.catalogue import Shelf
from dream.engine.base import Happening, Happenings, Progress, Stopped, Tell
from dream.events import Loading, Note
from dream.picture import Picture
from dream.request import Recipe
from dream.worker.workshop import Workshop


class InProcessEngine:
    """The same pictures as `WorkerEngine`, bit for bit. What crashes it crashes you."""

    def __init__(self, shelf: Shelf, *, device: str = "auto", precision: str = "auto") -> None:
        """Imports torch. Raises SetupError and BadSetting."""
        self._workshop = Workshop(shelf, device, precision)

    def render(self, recipe: Recipe) -> Happenings:
        """See `dream.engine.base.Engine`."""
        return _stream(lambda tell: self._workshop.do(recipe, tell))

    def upscale(self, picture: Picture) -> Happenings:
        """See `dream.engine.base.Engine`."""
        return _stream(lambda tell: self._workshop.do(picture, tell))

    def warm(self, model: str) -> None:
        """Load a model now: here there is nobody to do it meanwhile."""
        with suppress(Exception):
            self._workshop.load(model, lambda happening: None)

    def close(self) -> None:
        """Give the model's memory back."""
        self._workshop.close()


@dataclass(frozen=True)
class _Raised:
    error: BaseException


def _stream(work: Callable[[Tell], Picture]) -> Happenings:
    """Work that calls back, as a generator. Closing it waits until the work has stopped."""
    told: SimpleQueue[Happening | _Raised] = SimpleQueue()
    closed = Event()

    def tell(happening: Progress | Note | Loading) -> None:
        if closed.is_set():
            raise Stopped
        told.put(happening)

    def run() -> None:
        try:
            told.put(work(tell))
        except BaseException as error:
            told.put(_Raised(error))

    thread = Thread(target=run, name="painter", daemon=True)
    thread.start()
    try:
        while True:
            happening = told.get()
            if isinstance(happening, _Raised):
                raise happening.error
            yield happening
            if isinstance(happening, Picture):
                return
    finally:
        closed.set()
        thread.join()
