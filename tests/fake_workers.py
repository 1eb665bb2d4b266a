"""Workers of a pool without processes: threads over the fake engine, which tests can kill."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from dream.core.errors import DreamError
from dream.core.events import Waiting
from dream.core.picture import Picture
from dream.session import Session
from dream.worker.pool import WorkerPool
from dream.worker.pool_worker import Report, WorkerFactory, WorkerLost
from dream.worker.protocol import (
    FinishTask,
    LoadTask,
    RenderTask,
    Task,
    TaskCancelled,
    TaskDone,
    TaskFailed,
    TaskProgress,
    TaskStarted,
)
from tests.fakes import FakeEngine, fake_session


@dataclass(eq=False)
class FakeWorker:
    """A PoolWorker that renders with the fake engine, in a thread."""

    name: str
    report: Report
    engine: FakeEngine = field(default_factory=FakeEngine)
    dies: Callable[[Task], bool] = lambda task: False
    """Whether it is lost after the first step of a task."""
    tasks: SimpleQueue[tuple[int, Task] | None] = field(default_factory=SimpleQueue)
    cancelled: set[int] = field(default_factory=set)
    started: list[Task] = field(default_factory=list)
    has_models: bool = True

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def start(self, job: int, task: Task) -> None:
        self.tasks.put((job, task))

    def cancel(self, job: int) -> None:
        self.cancelled.add(job)

    def preload(self, task: LoadTask) -> None:
        self.engine.preload(task.model, task.options)

    def list_loaded(self) -> Sequence[str]:
        return self.engine.ready

    def has_model(self, model: str) -> bool:
        return self.has_models

    def get_memory_usage(self) -> int:
        return 1 << 30

    def restart(self) -> None:
        self.engine.restart()

    def close(self) -> None:
        self.tasks.put(None)
        self.thread.join(10)

    def _run(self) -> None:
        while (entry := self.tasks.get()) is not None:
            job, task = entry
            if job in self.cancelled:
                self.report(TaskCancelled(job))
                continue
            self.started.append(task)
            self.report(TaskStarted(job))
            try:
                self._work(job, task)
            except DreamError as error:
                self.report(TaskFailed(job, error))

    def _work(self, job: int, task: Task) -> None:
        events = (
            self.engine.render(task.recipe, task.every)
            if isinstance(task, RenderTask)
            else self.engine.finish(task.picture, task.stage)
            if isinstance(task, FinishTask)
            else self.engine.load(task.model, task.weights, task.options)
            if isinstance(task, LoadTask)
            else iter(())
        )
        picture = None
        for event in events:
            if job in self.cancelled:
                self.report(TaskCancelled(job))
                return
            if isinstance(event, Picture):
                picture = event
            elif not isinstance(event, Waiting):
                self.report(TaskProgress(job, event))
                if self.dies(task):
                    while not self.tasks.empty():
                        self.tasks.get()
                    self.report(WorkerLost("signal 9"))
                    return
        self.report(TaskDone(job, picture))


def fake_pool(
    count: int = 2,
    engine: Callable[[int], FakeEngine] = lambda number: FakeEngine(),
    dies: Callable[[Task], bool] = lambda task: False,
) -> tuple[WorkerPool, list[FakeWorker]]:
    """A pool of fake workers, and these."""
    workers: list[FakeWorker] = []

    def factory(number: int) -> WorkerFactory:
        def make(report: Report) -> FakeWorker:
            workers.append(FakeWorker(f"fake {number}", report, engine(number), dies))
            return workers[-1]

        return make

    return WorkerPool(map(factory, range(1, count + 1))), workers


def pooled_session(folder: Path, pool: WorkerPool) -> Session:
    """A session over a pool of fake workers; see `fake_session`."""
    session = fake_session(folder)
    session.engine = pool
    return session
