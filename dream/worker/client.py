"""The engine as the prompt sees it: an Engine whose hands are in another process."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress
from itertools import count
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.core.errors import DreamError, EngineError, WorkerDied
from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import Stage
from dream.engine.import_errors import MEMORY_SHORT
from dream.engine.interface import DeviceConfig, Engine, EngineEvents, LoadEvents, Progress
from dream.options.text_mask import TextMask
from dream.worker.protocol import (
    Answer,
    CancelTask,
    ConvertTask,
    FindMaskTask,
    FinishTask,
    Init,
    LoadTask,
    Preload,
    RenderTask,
    RunTask,
    Task,
    TaskDone,
    TaskFailed,
    TaskProgress,
    TaskStarted,
    get_model,
)
from dream.worker.stall_detector import LOOK, StallDetector, is_stopped
from dream.worker.start_worker import get_install_times
from dream.worker.worker_process import (
    JobCancelled,
    WorkerExited,
    WorkerProcess,
    measure_resident_memory,
)

MAX_RESTARTS = 2
"""How often a picture is begun again after the worker died on it."""

STILLBORN = 3
"""So many workers that die before they can work are enough: no other is started until somebody
asks for one, or something was installed meanwhile."""

PATIENCE = 60.0
"""Seconds a cancelled picture may go on before its worker is replaced. Steps of a large model on a
small machine take half of that. A worker that is stopped has `STOPPED_PATIENCE`."""
STOPPED_PATIENCE = 1.0


_Doing = Generator[Progress | Note | Loading, None, Picture | None]
_DOING = {
    RenderTask: "rendering",
    FinishTask: "finishing",
    LoadTask: "loading",
    ConvertTask: "converting",
    FindMaskTask: "searching",
}


def open_engine(
    shelf: ModelRegistry,
    machine: DeviceConfig = DeviceConfig(),  # noqa: B008 - frozen
) -> Engine:
    """The engine every front door uses. Nothing starts before it is warmed or asked for a picture,
    and no setting is looked at before that: a dry run costs no torch."""
    return WorkerEngine(shelf, machine)


class WorkerEngine:
    """Renders and finishes in a worker process, and outlives it.

    One picture at a time. Closing a generator cancels its picture within a step and does not wait
    for it; the next picture does.
    """

    def __init__(
        self,
        shelf: ModelRegistry,
        machine: DeviceConfig = DeviceConfig(),  # noqa: B008 - frozen
    ) -> None:
        self._opening = Init(shelf, machine)
        self._jobs = count(1)
        self._job = 0  # the one that is waited for
        self._closed = False
        self._cancelled = 0
        self._cancelled_at = 0.0
        self._worker: WorkerProcess | None = None
        self._stillborn = 0
        self._died = ""  # how the last of them did
        self._installed: tuple[float, ...] = ()  # what there was then

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        return self._pictures(RenderTask(recipe, every))

    def finish(self, picture: Picture, stage: Stage) -> EngineEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        return self._pictures(FinishTask(picture, stage))

    def load(self, model: str, weights: str = "") -> LoadEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._do(LoadTask(model, weights))

    def convert(self, model: str, folder: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._do(ConvertTask(model, folder))

    def find_mask(self, image: Path, asked: TextMask, mask: Path, heat: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._do(FindMaskTask(image, asked, mask, heat))

    def list_loaded(self) -> tuple[str, ...]:
        """See `dream.engine.interface.Engine`."""
        return self._worker.ready if self._worker else ()

    def get_memory_usage(self) -> int:
        """See `dream.engine.interface.Engine`."""
        worker = self._worker
        return measure_resident_memory(worker.pid) if worker else 0

    def preload(self, model: str) -> None:
        """Begin to load a model, without waiting for it."""
        with suppress(WorkerExited, DreamError):
            self._hired().send(Preload(model))

    def interrupt(self) -> None:
        """See `dream.engine.interface.Engine`."""
        worker, job = self._worker, self._job
        if worker is not None and job:
            worker.wake(job)

    def restart(self) -> None:
        """See `dream.engine.interface.Engine`."""
        self._stillborn = 0
        worker = self._worker
        if worker is not None:
            worker.dismiss()

    def close(self) -> None:
        """End the worker. A picture it is at is given up."""
        self._closed = True
        self._discard()

    def _pictures(self, task: RenderTask | FinishTask) -> EngineEvents:
        """A task that makes a picture."""
        made = yield from self._do(task)
        assert made is not None
        yield made

    def _do(self, task: Task) -> _Doing:
        deaths = 0
        while True:
            if self._closed:
                raise EngineError("the engine is closed")
            worker = None
            try:
                worker = self._hired()
                return (yield from self._attempt(worker, task))
            except WorkerExited as death:
                deaths += not (worker and worker.dismissed)
                self._take_down(worker, death)
                if self._stillborn >= STILLBORN:
                    raise self._gives_up() from None
                if deaths > MAX_RESTARTS:
                    raise WorkerDied(
                        f"the worker died {deaths} times on {_what(task)}; the last time: {death}",
                        "the next line starts a new worker",
                    ) from None
                again = f"starting another and {_DOING[type(task)]} {_what(task)} again"
                ended = "was restarted" if worker and worker.dismissed else f"died ({death})"
                yield Note(text=f"the worker {ended}; {again}")
            finally:
                if worker and worker.broken:
                    self._discard()  # the next line tries a fresh one: it may have been mended

    def _attempt(self, worker: WorkerProcess, task: Task) -> _Doing:
        """The task, by this worker. Raises Died, and what the task raises."""
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
                match (yield from self._heard(worker)):
                    case TaskProgress(_, Loading(model=model)) if model == loading:
                        pass
                    case TaskProgress(number, happening) if number == job:
                        yield happening
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
        """Until the worker begins with the job: it may be importing, loading, or still at a
        picture that was cancelled, which it is given `PATIENCE` to leave."""
        while True:
            match (yield from self._heard(worker)):
                case TaskStarted(number) if number == job:
                    return
                case TaskFailed(number, error) if number == job:  # it cannot read the order
                    raise error
                case JobCancelled(number) if number == job:
                    raise KeyboardInterrupt

    def _heard(self, worker: WorkerProcess) -> Generator[Note, None, Answer | JobCancelled]:
        """The next message, or what is said on this side; silence is told. Raises Died when it
        would not leave the picture that was cancelled."""
        silence = StallDetector(worker.pid)
        while True:
            leaves = worker.over >= self._cancelled
            try:
                return worker.receive(LOOK if leaves else min(LOOK, self._patience(worker)))
            except TimeoutError:
                if worker.over < self._cancelled and not self._patience(worker):
                    raise WorkerExited("it did not stop the cancelled image") from None
            if text := silence.check():
                yield Note(text=text)

    def _patience(self, worker: WorkerProcess) -> float:
        """Seconds that the worker is still given to leave what was cancelled."""
        patience = min(PATIENCE, STOPPED_PATIENCE) if is_stopped(worker.pid) else PATIENCE
        return max(0.0, self._cancelled_at + patience - time.monotonic())

    def _hired(self) -> WorkerProcess:
        """The worker there is, or a fresh one. Raises Died when the system starts none, and
        WorkerDied when so many died that no other is started."""
        if self._worker is not None and self._worker.dismissed:
            self._discard()
        if self._worker is None:
            if self._stillborn >= STILLBORN and self._installed == get_install_times():
                raise self._gives_up()
            self._cancelled = 0
            self._worker = WorkerProcess(self._opening)
        return self._worker

    def _take_down(self, worker: WorkerProcess | None, death: WorkerExited) -> None:
        """A worker has died: bury it, and count it where it never did anything."""
        self._discard()
        dismissed = worker is not None and worker.dismissed
        lived = worker is not None and worker.answered
        self._stillborn = 0 if lived else self._stillborn + (not dismissed)
        self._died, self._installed = str(death), get_install_times()

    def _gives_up(self) -> WorkerDied:
        if "MemoryError" in self._died:
            return WorkerDied(MEMORY_SHORT, "!restart tries again")
        return WorkerDied(
            f"the worker fails to start: {self._died}",
            "run dream --doctor to find the reason, !restart to try again",
        )

    def _discard(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()


def _what(task: Task) -> str:
    return task.model if isinstance(task, LoadTask | ConvertTask) else "this image"
