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

from dream.catalogue import ModelRegistry
from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import Stage
from dream.engine.interface import (
    DeviceConfig,
    EngineEvents,
    GenerationCancelled,
    LoadEvents,
    Progress,
    ProgressCallback,
)
from dream.options.text_mask import TextMask
from dream.worker.executor import TaskExecutor
from dream.worker.protocol import FindMaskTask, FinishTask, RenderTask
from dream.worker.worker_process import measure_resident_memory


class InProcessEngine:
    """The same pictures as `WorkerEngine`, bit for bit. What crashes it crashes you."""

    def __init__(
        self,
        shelf: ModelRegistry,
        machine: DeviceConfig = DeviceConfig(),  # noqa: B008 - frozen
    ) -> None:
        """Imports torch. Raises SetupError and BadSetting."""
        self._workshop = TaskExecutor(shelf, machine)

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        """See `dream.engine.interface.Engine`."""
        yield (yield from _stream(lambda tell: self._workshop.run(RenderTask(recipe, every), tell)))

    def finish(self, picture: Picture, stage: Stage) -> EngineEvents:
        """See `dream.engine.interface.Engine`."""
        yield (
            yield from _stream(lambda tell: self._workshop.run(FinishTask(picture, stage), tell))
        )

    def load(self, model: str, weights: str = "") -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from _stream(lambda tell: self._workshop.load(model, tell, weights))

    def convert(self, model: str, folder: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from _stream(lambda tell: self._workshop.convert(model, folder, tell))

    def find_mask(self, image: Path, asked: TextMask, mask: Path, heat: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from _stream(
            lambda tell: self._workshop.find_mask(FindMaskTask(image, asked, mask, heat), tell)
        )

    def list_loaded(self) -> tuple[str, ...]:
        """See `dream.engine.interface.Engine`."""
        return self._workshop.list_loaded()

    def get_memory_usage(self) -> int:
        """See `dream.engine.interface.Engine`."""
        return measure_resident_memory(os.getpid())

    def preload(self, model: str) -> None:
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


def _stream(work: Callable[[ProgressCallback], T]) -> Generator[Progress | Note | Loading, None, T]:
    """Work that calls back, as a generator with the work's result. Closing it waits until the
    work has stopped."""
    told: SimpleQueue[Progress | Note | Loading | _Result[T] | _Raised] = SimpleQueue()
    closed = Event()

    def tell(happening: Progress | Note | Loading) -> None:
        if closed.is_set():
            raise GenerationCancelled
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
