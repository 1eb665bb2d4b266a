"""An engine with several workers: it hands tasks out, runs them again where a worker was lost, and
yields what each task's worker reports.

The session's thread does all of it, while it waits or asks for events; workers only put what they
report into one queue.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

from dream.core.errors import DreamError, EngineError
from dream.core.events import Loading, Note, Waiting
from dream.core.model_options import DEFAULT_OPTIONS, ModelOptions
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import Stage
from dream.engine.interface import EngineEvents, LoadEvents, Progress
from dream.options.text_mask import TextMask
from dream.worker import pool_worker
from dream.worker.assignment import JobAssignment, PoolJob
from dream.worker.job_stream import JobStream
from dream.worker.pool_worker import PoolAnswer, PoolWorker, WorkerFactory, WorkerLost
from dream.worker.protocol import (
    ConvertTask,
    CountTokensTask,
    FindMaskTask,
    FinishTask,
    LoadTask,
    MakeControlMapTask,
    RenderTask,
    Task,
    TaskCancelled,
    TaskDone,
    TaskFailed,
    TaskProgress,
    TaskStarted,
    describe_again,
    died_too_often,
)

_TICK = 1.0
"""Seconds after which a worker is asked again to cancel a job."""

_TaskEvents = Generator[Progress | Note | Loading | Waiting, None, Picture | None]


class _Wake:
    """Ends the waiting of the session's thread."""


class WorkerPool:
    """Implements `PoolEngine`. All methods but those of any thread (`interrupt`, `restart`,
    `preload`, `list_loaded`, `get_memory_usage`, `add_worker`, `add_note`) are for one thread."""

    def __init__(self, factories: Iterable[WorkerFactory]) -> None:
        self._inbox: SimpleQueue[tuple[str, PoolAnswer] | _Wake | None] = SimpleQueue()
        self._joining: SimpleQueue[WorkerFactory] = SimpleQueue()
        self._notes: SimpleQueue[str] = SimpleQueue()
        self._assignment = JobAssignment()
        self._workers: dict[str, PoolWorker] = {}
        self._streams: dict[PoolJob, JobStream] = {}
        self._owner = ""
        self._has_news = False
        self._last_loss = WorkerLost("none has started")
        self._restarted = False
        for factory in factories:
            self._make_worker(factory)

    def add_worker(self, factory: WorkerFactory) -> None:
        """Give jobs to one more worker. From any thread."""
        self._joining.put(factory)
        self.wake()

    def add_note(self, text: str) -> None:
        """Show this with the next news of a job. From any thread."""
        self._notes.put(text)

    def _make_worker(self, factory: WorkerFactory) -> None:
        names: list[str] = []
        worker = factory(lambda answer: self._inbox.put((names[0], answer)))
        names.append(worker.name)
        self._workers[worker.name] = worker
        self._seat(worker)

    def _seat(self, worker: PoolWorker) -> None:
        self._assignment.add_worker(
            worker.name, worker.has_model, lambda model: model in worker.list_loaded()
        )

    # ── the Engine ─────────────────────────────────────────────────────────────────────────────

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        """See `dream.engine.interface.Engine`. Raises WorkerDied too."""
        return self._run_for_image(RenderTask(recipe, every))

    def finish(self, picture: Picture, stage: Stage) -> EngineEvents:
        """See `dream.engine.interface.Engine`. Raises WorkerDied too."""
        return self._run_for_image(FinishTask(picture, stage))

    def load(
        self,
        model: str,
        weights: str = "",
        options: ModelOptions = DEFAULT_OPTIONS,
        recipe: Recipe | None = None,
    ) -> LoadEvents:
        """See `dream.engine.interface.Engine`. One of the workers loads it."""
        yield from self._run_task(LoadTask(model, weights, options, recipe))

    def convert(self, model: str, folder: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from self._run_task(ConvertTask(model, folder))

    def find_mask(self, image: Path, text_mask: TextMask, mask: Path, heat: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from self._run_task(FindMaskTask(image, text_mask, mask, heat))

    def make_control_map(self, kind: str, image: Path, target: Path) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from self._run_task(MakeControlMapTask(kind, image, target))

    def count_tokens(self, recipe: Recipe) -> LoadEvents:
        """See `dream.engine.interface.Engine`."""
        yield from self._run_task(CountTokensTask(recipe))

    def list_loaded(self) -> Sequence[str]:
        """The models that any worker has in memory."""
        loaded = [name for worker in self._all_workers for name in worker.list_loaded()]
        return tuple(dict.fromkeys(loaded))

    def get_memory_usage(self) -> int:
        """Bytes of all workers together."""
        return sum(worker.get_memory_usage() for worker in self._all_workers)

    def preload(
        self, model: str, options: ModelOptions = DEFAULT_OPTIONS, recipe: Recipe | None = None
    ) -> None:
        """Have each worker load a model that it has."""
        for worker in self._all_workers:
            if worker.has_model(model):
                worker.preload(LoadTask(model, options=options, recipe=recipe))

    def interrupt(self) -> None:
        """See `dream.engine.interface.Engine`."""
        self._inbox.put(None)

    def wake(self) -> None:
        """See `dream.engine.interface.PoolEngine`."""
        self._inbox.put(_Wake())

    def restart(self) -> None:
        """End every worker's process. Those that could not start are tried again."""
        self._restarted = True
        for worker in self._all_workers:
            worker.restart()

    def close(self) -> None:
        """End all workers."""
        for worker in self._all_workers:
            with suppress(Exception):
                worker.close()

    @property
    def _all_workers(self) -> tuple[PoolWorker, ...]:
        return tuple(self._workers.values())

    # ── the PoolEngine ─────────────────────────────────────────────────────────────────────────

    def count_workers(self) -> int:
        """How many workers take jobs; at least 1."""
        return max(1, len(self._assignment.workers))

    def set_owner(self, owner: str) -> None:
        """Whose the tasks are that are submitted from now on."""
        self._owner = owner

    def wait(self) -> None:
        """See `dream.engine.interface.PoolEngine`."""
        while not self._has_news:
            try:
                report = self._inbox.get(timeout=_TICK)
            except Empty:
                for worker, attempt in self._assignment.list_cancelled():
                    self._workers[worker].cancel(attempt)
                continue
            if report is None:
                raise KeyboardInterrupt
            if isinstance(report, _Wake):
                self._assign()
                break
            self._handle(*report)
            self._read_inbox()
            self._assign()
        self._has_news = False

    # ── jobs ───────────────────────────────────────────────────────────────────────────────────

    def _run_for_image(self, task: RenderTask | FinishTask) -> EngineEvents:
        picture = yield from self._run_task(task)
        assert picture is not None
        yield picture

    def _run_task(self, task: Task) -> _TaskEvents:
        stream = self._submit(task)
        try:
            while True:
                while not self._notes.empty():
                    yield Note(text=self._notes.get())
                while stream.events:
                    yield stream.events.popleft()
                if stream.ended:
                    if stream.error is not None:
                        raise stream.error
                    return stream.picture
                yield Waiting(is_over=stream.has_news)
        finally:
            self._streams.pop(stream.job, None)
            if not stream.ended and (place := self._assignment.cancel(stream.job)):
                self._workers[place[0]].cancel(place[1])

    def _submit(self, task: Task) -> JobStream:
        job = self._assignment.submit(task, self._owner)
        stream = self._streams[job] = JobStream(job)
        if self._restarted or not self._assignment.workers:  # they may work by now
            self._restarted = False
            for name in {*self._workers} - {*self._assignment.workers}:
                self._seat(self._workers[name])
        self._read_inbox()
        self._assign()
        return stream

    def _assign(self) -> None:
        while not self._joining.empty():
            self._make_worker(self._joining.get())
        for start in self._assignment.assign():
            self._workers[start.worker].start(start.attempt, start.job.task)
        for job in self._assignment.list_homeless():
            self._end(job, error=self._assignment.explain_homeless(job, self._last_loss))

    def _read_inbox(self) -> None:
        """Handle what has been reported, without waiting."""
        with suppress(Empty):
            while True:
                if isinstance(report := self._inbox.get_nowait(), tuple):
                    self._handle(*report)

    def _handle(self, name: str, answer: PoolAnswer) -> None:
        match answer:
            case WorkerLost():
                self._lose(name, answer)
            case TaskProgress(attempt, event):
                if (job := self._assignment.find(attempt)) is not None:
                    self._tell(job, event, name)
            case TaskDone(attempt, picture):
                self._end(self._assignment.end(attempt), picture)
            case TaskFailed(attempt, error):
                self._end(self._assignment.end(attempt), error=error)
            case TaskCancelled(attempt):
                self._end(self._assignment.end(attempt), error=EngineError("it was cancelled"))
            case pool_worker.TaskRefused(attempt, reason):
                if (job := self._assignment.refuse(attempt, reason)) is not None:
                    self._tell(job, Note(text=f"{reason}; another worker is used"), name)
            case TaskStarted():
                pass

    def _lose(self, name: str, loss: WorkerLost) -> None:
        self._last_loss = loss
        again, over = self._assignment.lose_worker(
            name, will_return=loss.will_return, counts=loss.counts
        )
        for job in again[:1]:
            ended = "was restarted" if loss.will_return and not loss.counts else "died"
            reason = f" ({loss.reason})" if ended == "died" else ""
            gone = "" if loss.will_return else "; it is not used any more"
            text = f"worker {name} {ended}{reason}{gone}; {describe_again(job.task)}"
            self._tell(job, Note(text=text), name)
        for job in over:
            self._end(job, error=died_too_often(job.task, job.losses, loss.reason))

    def _tell(self, job: PoolJob, event: Progress | Note | Loading, name: str) -> None:
        if (stream := self._streams.get(job)) is not None:
            named = replace(event, worker=name) if isinstance(event, Progress) else event
            stream.events.append(named)
            self._has_news = True

    def _end(
        self, job: PoolJob | None, picture: Picture | None = None, error: DreamError | None = None
    ) -> None:
        self._has_news = True
        if job is not None and (stream := self._streams.get(job)) is not None:
            stream.ended, stream.picture, stream.error = True, picture, error
