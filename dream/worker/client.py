"""The engine for the prompt's process: it sends every task to a worker process."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress
from itertools import count
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.core.errors import DreamError, EngineError
from dream.core.events import Loading, Note
from dream.core.model_options import DEFAULT_OPTIONS, ModelOptions
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import Stage
from dream.engine.interface import DeviceConfig, Engine, EngineEvents, LoadEvents, Progress
from dream.options.text_mask import TextMask
from dream.worker.protocol import (
    Answer,
    CancelTask,
    ConvertTask,
    CountTokensTask,
    FindMaskTask,
    FinishTask,
    Init,
    LoadTask,
    MakeControlMapTask,
    Preload,
    RenderTask,
    RunTask,
    Task,
    TaskDone,
    TaskFailed,
    TaskProgress,
    TaskStarted,
    cannot_start,
    describe_again,
    died_too_often,
    get_model,
)
from dream.worker.stall_detector import POLL_INTERVAL, StallDetector, is_stopped
from dream.worker.start_worker import get_install_times
from dream.worker.worker_process import (
    JobCancelled,
    WorkerExited,
    WorkerProcess,
    measure_resident_memory,
)

MAX_RESTARTS = 2
"""How often an image is started again after the worker died on it."""
MAX_FAILED_STARTS = 3
"""After this many workers that died before their first answer, no other is started until
`!restart`, or until a package was installed."""
CANCEL_TIMEOUT = 60.0
"""Seconds that a worker may take to stop a cancelled image before it is replaced."""
STOPPED_CANCEL_TIMEOUT = 1.0

TaskEvents = Generator[Progress | Note | Loading, None, Picture | None]


def open_engine(
    registry: ModelRegistry,
    machine: DeviceConfig = DeviceConfig(),  # noqa: B008 - frozen
) -> Engine:
    """The engine of the command line and of Python. Nothing starts before `preload` or the first
    image, and no setting is checked before that, so a dry run does not load torch."""
    return WorkerEngine(registry, machine)


class WorkerEngine:
    """Renders and finishes in a worker process, and starts another when it dies.

    One image at a time. Closing a generator cancels its image within a step and does not wait for
    it; the next image waits.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        machine: DeviceConfig = DeviceConfig(),  # noqa: B008 - frozen
    ) -> None:
        self._opening = Init(registry, machine)
        self._jobs = count(1)
        self._job = 0  # the current one
        self._closed = False
        self._cancelled = 0
        self._cancelled_at = 0.0
        self._worker: WorkerProcess | None = None
        self._failed_starts = 0
        self._last_death = ""  # why the last of them died
        self._install_times_then: tuple[float, ...] = ()  # at that time
        self.unusable: DreamError | None = None
        """Why the last worker could not work on this machine."""

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        return self._run_for_image(RenderTask(recipe, every))

    def finish(self, picture: Picture, stage: Stage) -> EngineEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        return self._run_for_image(FinishTask(picture, stage))

    def load(
        self,
        model: str,
        weights: str = "",
        options: ModelOptions = DEFAULT_OPTIONS,
        recipe: Recipe | None = None,
    ) -> LoadEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._run_task(LoadTask(model, weights, options, recipe))

    def convert(self, model: str, folder: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._run_task(ConvertTask(model, folder))

    def find_mask(self, image: Path, text_mask: TextMask, mask: Path, heat: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._run_task(FindMaskTask(image, text_mask, mask, heat))

    def make_control_map(self, kind: str, image: Path, target: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._run_task(MakeControlMapTask(kind, image, target))

    def count_tokens(self, recipe: Recipe) -> LoadEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._run_task(CountTokensTask(recipe))

    def list_loaded(self) -> tuple[str, ...]:
        """See `dream.engine.interface.Engine`."""
        return self._worker.ready if self._worker else ()

    def get_memory_usage(self) -> int:
        """See `dream.engine.interface.Engine`."""
        worker = self._worker
        return measure_resident_memory(worker.pid) if worker else 0

    def preload(
        self, model: str, options: ModelOptions = DEFAULT_OPTIONS, recipe: Recipe | None = None
    ) -> None:
        """Start to load a model, without waiting for it."""
        with suppress(WorkerExited, DreamError):
            task = LoadTask(model, options=options, recipe=recipe)
            self._get_or_start_worker().send(Preload(task))

    def interrupt(self) -> None:
        """See `dream.engine.interface.Engine`."""
        worker, job = self._worker, self._job
        if worker is not None and job:
            worker.wake(job)

    def restart(self) -> None:
        """See `dream.engine.interface.Engine`."""
        self._failed_starts = 0
        if (worker := self._worker) is not None:
            worker.dismiss()

    def close(self) -> None:
        """End the worker, and cancel the image it is rendering."""
        self._closed = True
        self._discard()

    def _run_for_image(self, task: RenderTask | FinishTask) -> EngineEvents:
        """Run a task that returns an image."""
        picture = yield from self._run_task(task)
        assert picture is not None
        yield picture

    def _run_task(self, task: Task) -> TaskEvents:
        deaths = 0
        while True:
            try:
                return (yield from self.run_once(task))
            except WorkerExited as death:
                deaths += not death.is_intended
                if self.fails_to_start:
                    raise cannot_start(self._last_death) from None
                if deaths > MAX_RESTARTS:
                    raise died_too_often(task, deaths, str(death)) from None
                again = f"starting another and {describe_again(task)}"
                ended = "was restarted" if death.is_intended else f"died ({death})"
                yield Note(text=f"the worker {ended}; {again}")

    def run_once(self, task: Task) -> TaskEvents:
        """Run a task, without trying again where the worker ends on it. Returns its image, if it
        has one. Raises WorkerExited, and what the task raises; WorkerDied where no worker
        starts."""
        if self._closed:
            raise EngineError("the engine is closed")
        worker = None
        try:
            worker = self._get_or_start_worker()
            return (yield from self._attempt(worker, task))
        except WorkerExited as death:
            death.is_intended = worker is not None and worker.dismissed
            self._record_death(worker, death)
            raise
        finally:
            if worker and worker.broken:
                self.unusable = worker.broken
                self._discard()  # the next line tries a new one: it may work by then

    @property
    def fails_to_start(self) -> bool:
        """Whether so many workers died before their first answer that no other is started."""
        return self._failed_starts >= MAX_FAILED_STARTS

    def _attempt(self, worker: WorkerProcess, task: Task) -> TaskEvents:
        """Run the task in this worker. Raises WorkerExited, and what the task raises."""
        job = self._job = next(self._jobs)
        loading = None
        over = False
        try:
            worker.send(RunTask(job, task))
            if (model := get_model(task)) and model not in worker.ready:
                loading = model
                yield Loading(model=loading)
            yield from self._await_turn(worker, job)
            while True:
                match (yield from self._receive(worker)):
                    case TaskProgress(_, Loading(model=model)) if model == loading:
                        pass
                    case TaskProgress(number, event) if number == job:
                        yield event
                    case TaskDone(number, picture) if number == job:
                        over = True
                        return picture
                    case TaskFailed(number, error) if number == job:
                        over = True
                        raise error
                    case JobCancelled(number) if number == job:
                        raise KeyboardInterrupt
        finally:
            self._job = 0
            if not over:
                self._cancelled, self._cancelled_at = job, time.monotonic()
                with suppress(WorkerExited, DreamError):
                    worker.send(CancelTask(job))

    def _await_turn(self, worker: WorkerProcess, job: int) -> Generator[Note, None, None]:
        """Wait until the worker starts the job: it may be importing, loading, or still stopping a
        cancelled image, for `CANCEL_TIMEOUT` at most."""
        while True:
            match (yield from self._receive(worker)):
                case TaskStarted(number) if number == job:
                    return
                case TaskFailed(number, error) if number == job:  # it cannot read the task
                    raise error
                case JobCancelled(number) if number == job:
                    raise KeyboardInterrupt

    def _receive(self, worker: WorkerProcess) -> Generator[Note, None, Answer | JobCancelled]:
        """The next message. A long silence yields a Note. Raises WorkerExited when the worker does
        not stop the cancelled image."""
        silence = StallDetector(worker.pid)
        while True:
            leaves = worker.over >= self._cancelled
            try:
                return worker.receive(
                    POLL_INTERVAL if leaves else min(POLL_INTERVAL, self._remaining_timeout(worker))
                )
            except TimeoutError:
                if worker.over < self._cancelled and not self._remaining_timeout(worker):
                    raise WorkerExited("it did not stop the cancelled image") from None
            if text := silence.check():
                yield Note(text=text)

    def _remaining_timeout(self, worker: WorkerProcess) -> float:
        """Seconds that the worker still has to stop what was cancelled."""
        stopped = is_stopped(worker.pid)
        patience = min(CANCEL_TIMEOUT, STOPPED_CANCEL_TIMEOUT) if stopped else CANCEL_TIMEOUT
        return max(0.0, self._cancelled_at + patience - time.monotonic())

    def _get_or_start_worker(self) -> WorkerProcess:
        """The current worker, or a new one. Raises WorkerExited when the system cannot start it,
        and WorkerDied after too many failed starts."""
        if self._worker is not None and self._worker.dismissed:
            self._discard()
        if self._worker is None:
            if self.fails_to_start and self._install_times_then == get_install_times():
                raise cannot_start(self._last_death)
            self._cancelled = 0
            self._worker = WorkerProcess(self._opening)
        return self._worker

    def _record_death(self, worker: WorkerProcess | None, death: WorkerExited) -> None:
        """Discard a dead worker, and count it if it never answered."""
        self._discard()
        dismissed, answered = (worker.dismissed, worker.answered) if worker else (False, False)
        self._failed_starts = 0 if answered else self._failed_starts + (not dismissed)
        self._last_death, self._install_times_then = str(death), get_install_times()

    def _discard(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
