"""The engine as the prompt sees it: an Engine whose hands are in another process."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress
from itertools import count
from pathlib import Path

from dream.catalogue import Shelf
from dream.engine.base import Engine, Happenings, Loadings, Machine, Progress
from dream.engine.setup import MEMORY_SHORT
from dream.errors import DreamError, EngineError, WorkerDied
from dream.events import Loading, Note
from dream.picture import Picture
from dream.recipe import Recipe
from dream.stages import Stage
from dream.text_mask import TextMask
from dream.worker.process import Died, Process, Unwanted, resident
from dream.worker.silence import LOOK, Silence, is_stopped
from dream.worker.start import installed
from dream.worker.wire import (
    Answer,
    Begun,
    Cancel,
    Convert,
    Do,
    Done,
    Failed,
    Finish,
    Load,
    Open,
    Render,
    Seek,
    Task,
    Told,
    Warm,
    model_of,
)

AGAIN = 2
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
    Render: "rendering",
    Finish: "finishing",
    Load: "loading",
    Convert: "converting",
    Seek: "looking at",
}


def open_engine(
    shelf: Shelf,
    machine: Machine = Machine(),  # noqa: B008 - frozen
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
        shelf: Shelf,
        machine: Machine = Machine(),  # noqa: B008 - frozen
    ) -> None:
        self._opening = Open(shelf, machine)
        self._jobs = count(1)
        self._job = 0  # the one that is waited for
        self._closed = False
        self._cancelled = 0
        self._cancelled_at = 0.0
        self._worker: Process | None = None
        self._stillborn = 0
        self._died = ""  # how the last of them did
        self._installed: tuple[float, ...] = ()  # what there was then

    def render(self, recipe: Recipe, every: int = 0) -> Happenings:
        """See `dream.engine.base.Engine`. Raises SetupError and WorkerDied too."""
        return self._pictures(Render(recipe, every))

    def finish(self, picture: Picture, stage: Stage) -> Happenings:
        """See `dream.engine.base.Engine`. Raises SetupError and WorkerDied too."""
        return self._pictures(Finish(picture, stage))

    def load(self, model: str, weights: str = "") -> Loadings:
        """See `dream.engine.base.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._do(Load(model, weights))

    def convert(self, model: str, folder: Path) -> Loadings:
        """See `dream.engine.base.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._do(Convert(model, folder))

    def seek(self, image: Path, asked: TextMask, mask: Path, heat: Path) -> Loadings:
        """See `dream.engine.base.Engine`. Raises SetupError and WorkerDied too."""
        yield from self._do(Seek(image, asked, mask, heat))

    def loaded(self) -> tuple[str, ...]:
        """See `dream.engine.base.Engine`."""
        return self._worker.ready if self._worker else ()

    def memory(self) -> int:
        """See `dream.engine.base.Engine`."""
        worker = self._worker
        return resident(worker.pid) if worker else 0

    def warm(self, model: str) -> None:
        """Begin to load a model, without waiting for it."""
        with suppress(Died, DreamError):
            self._hired().send(Warm(model))

    def interrupt(self) -> None:
        """See `dream.engine.base.Engine`."""
        worker, job = self._worker, self._job
        if worker is not None and job:
            worker.wake(job)

    def restart(self) -> None:
        """See `dream.engine.base.Engine`."""
        self._stillborn = 0
        worker = self._worker
        if worker is not None:
            worker.dismiss()

    def close(self) -> None:
        """End the worker. A picture it is at is given up."""
        self._closed = True
        self._bury()

    def _pictures(self, task: Render | Finish) -> Happenings:
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
            except Died as death:
                deaths += not (worker and worker.dismissed)
                self._take_down(worker, death)
                if self._stillborn >= STILLBORN:
                    raise self._gives_up() from None
                if deaths > AGAIN:
                    raise WorkerDied(
                        f"the worker died {deaths} times on {_what(task)}, at last by {death}",
                        "the next line gets a fresh one",
                    ) from None
                again = f"starting another, {_DOING[type(task)]} {_what(task)} again"
                ended = "ended, as was asked" if worker and worker.dismissed else f"died ({death})"
                yield Note(text=f"the worker {ended}; {again}")
            finally:
                if worker and worker.broken:
                    self._bury()  # the next line tries a fresh one: it may have been mended

    def _attempt(self, worker: Process, task: Task) -> _Doing:
        """The task, by this worker. Raises Died, and what the task raises."""
        job = self._job = next(self._jobs)
        loading = None
        over = False
        try:
            worker.send(Do(job, task))
            if (model := model_of(task)) and model not in worker.ready:
                loading = model
                yield Loading(model=loading)
            yield from self._await_turn(worker, job)
            while True:
                match (yield from self._heard(worker)):
                    case Told(_, Loading(model=model)) if model == loading:
                        pass
                    case Told(number, happening) if number == job:
                        yield happening
                    case Done(number, picture) if number == job:
                        over = True
                        return picture
                    case Failed(number, error) if number == job:
                        over = True
                        raise error
                    case Unwanted(number) if number == job:
                        raise KeyboardInterrupt
        finally:
            self._job = 0
            if not over:
                self._cancelled, self._cancelled_at = job, time.monotonic()
                with suppress(Died, DreamError):
                    worker.send(Cancel(job))

    def _await_turn(self, worker: Process, job: int) -> Generator[Note, None, None]:
        """Until the worker begins with the job: it may be importing, loading, or still at a
        picture that was cancelled, which it is given `PATIENCE` to leave."""
        while True:
            match (yield from self._heard(worker)):
                case Begun(number) if number == job:
                    return
                case Failed(number, error) if number == job:  # it cannot read the order
                    raise error
                case Unwanted(number) if number == job:
                    raise KeyboardInterrupt

    def _heard(self, worker: Process) -> Generator[Note, None, Answer | Unwanted]:
        """The next message, or what is said on this side; silence is told. Raises Died when it
        would not leave the picture that was cancelled."""
        silence = Silence(worker.pid)
        while True:
            leaves = worker.over >= self._cancelled
            try:
                return worker.receive(LOOK if leaves else min(LOOK, self._patience(worker)))
            except TimeoutError:
                if worker.over < self._cancelled and not self._patience(worker):
                    raise Died("it would not leave the cancelled one") from None
            if text := silence.look():
                yield Note(text=text)

    def _patience(self, worker: Process) -> float:
        """Seconds that the worker is still given to leave what was cancelled."""
        patience = min(PATIENCE, STOPPED_PATIENCE) if is_stopped(worker.pid) else PATIENCE
        return max(0.0, self._cancelled_at + patience - time.monotonic())

    def _hired(self) -> Process:
        """The worker there is, or a fresh one. Raises Died when the system starts none, and
        WorkerDied when so many died that no other is started."""
        if self._worker is not None and self._worker.dismissed:
            self._bury()
        if self._worker is None:
            if self._stillborn >= STILLBORN and self._installed == installed():
                raise self._gives_up()
            self._cancelled = 0
            self._worker = Process(self._opening)
        return self._worker

    def _take_down(self, worker: Process | None, death: Died) -> None:
        """A worker has died: bury it, and count it where it never did anything."""
        self._bury()
        dismissed = worker is not None and worker.dismissed
        lived = worker is not None and worker.answered
        self._stillborn = 0 if lived else self._stillborn + (not dismissed)
        self._died, self._installed = str(death), installed()

    def _gives_up(self) -> WorkerDied:
        if "MemoryError" in self._died:
            return WorkerDied(MEMORY_SHORT, "!restart starts another worker")
        return WorkerDied(
            f"the worker dies before it can work: {self._died}",
            "dream --doctor looks for the reason, !restart starts another",
        )

    def _bury(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()


def _what(task: Task) -> str:
    return task.model if isinstance(task, Load | Convert) else "this picture"
