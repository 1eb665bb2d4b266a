"""The engine in this process: for scripts that have loaded torch anyway, and for tests."""

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
from dream.core.model_options import DEFAULT_OPTIONS, ModelOptions
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
from dream.worker.protocol import FindMaskTask, FinishTask, LoadTask, MakeControlMapTask, RenderTask
from dream.worker.worker_process import measure_resident_memory


class InProcessEngine:
    """The same images as `WorkerEngine`, bit for bit. A crash of torch ends this process."""

    def __init__(
        self,
        registry: ModelRegistry,
        machine: DeviceConfig = DeviceConfig(),  # noqa: B008 - frozen
    ) -> None:
        """Imports torch. Raises SetupError and BadSetting."""
        self._executor = TaskExecutor(registry, machine)

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        """See `dream.engine.interface.Engine`."""
        yield (
            yield from _stream(lambda report: self._executor.run(RenderTask(recipe, every), report))
        )

    def finish(self, picture: Picture, stage: Stage) -> EngineEvents:
        """See `dream.engine.interface.Engine`."""
        yield (
            yield from _stream(
                lambda report: self._executor.run(FinishTask(picture, stage), report)
            )
        )

    def load(
        self,
        model: str,
        weights: str = "",
        options: ModelOptions = DEFAULT_OPTIONS,
        recipe: Recipe | None = None,
    ) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        task = LoadTask(model, weights, options, recipe)
        yield from _stream(lambda report: self._executor.load(task, report))

    def convert(self, model: str, folder: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from _stream(lambda report: self._executor.convert(model, folder, report))

    def find_mask(self, image: Path, text_mask: TextMask, mask: Path, heat: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from _stream(
            lambda report: self._executor.find_mask(
                FindMaskTask(image, text_mask, mask, heat), report
            )
        )

    def make_control_map(self, kind: str, image: Path, target: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from _stream(
            lambda report: self._executor.make_control_map(
                MakeControlMapTask(kind, image, target), report
            )
        )

    def count_tokens(self, recipe: Recipe) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from _stream(lambda report: self._executor.count_tokens(recipe, report))

    def list_loaded(self) -> tuple[str, ...]:
        """See `dream.engine.interface.Engine`."""
        return self._executor.list_loaded()

    def get_memory_usage(self) -> int:
        """See `dream.engine.interface.Engine`."""
        return measure_resident_memory(os.getpid())

    def preload(
        self, model: str, options: ModelOptions = DEFAULT_OPTIONS, recipe: Recipe | None = None
    ) -> None:
        """Load a model now, and wait for it."""
        with suppress(Exception):
            task = LoadTask(model, options=options, recipe=recipe)
            self._executor.load(task, lambda event: None)

    def interrupt(self) -> None:
        """Does nothing: every step yields an event, at which the caller can stop."""

    def restart(self) -> None:
        """Does nothing: there is no worker process."""

    def close(self) -> None:
        """Free the memory of the models."""
        self._executor.close()


T = TypeVar("T")


@dataclass(frozen=True)
class _Raised:
    error: BaseException


@dataclass(frozen=True)
class _Result(Generic[T]):
    value: T


def _stream(work: Callable[[ProgressCallback], T]) -> Generator[Progress | Note | Loading, None, T]:
    """Run work that reports through a callback, and yield what it reports; returns the work's
    result. Closing the generator waits until the work has stopped."""
    queue: SimpleQueue[Progress | Note | Loading | _Result[T] | _Raised] = SimpleQueue()
    closed = Event()

    def report(event: Progress | Note | Loading) -> None:
        if closed.is_set():
            raise GenerationCancelled
        queue.put(event)

    def run() -> None:
        try:
            queue.put(_Result(work(report)))
        except BaseException as error:
            queue.put(_Raised(error))

    thread = Thread(target=run, name="painter", daemon=True)
    thread.start()
    try:
        while True:
            match queue.get():
                case _Raised(error):
                    raise error
                case _Result(value):
                    return value
                case event:
                    yield event
    finally:
        closed.set()
        thread.join()
