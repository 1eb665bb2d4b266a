"""A worker of a pool on this machine: a thread that drives one `WorkerEngine`, which has a process
of its own and replaces it when it ends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from dream.catalogue import ModelRegistry
from dream.core.errors import DreamError, WorkerDied
from dream.core.events import Waiting
from dream.engine.interface import DeviceConfig
from dream.worker.client import WorkerEngine
from dream.worker.crash import to_dream_error
from dream.worker.pool_worker import PoolAnswer, Report, WorkerLost
from dream.worker.protocol import (
    LoadTask,
    Task,
    TaskCancelled,
    TaskDone,
    TaskFailed,
    TaskProgress,
    TaskStarted,
)
from dream.worker.worker_process import WorkerExited


class LocalWorker:
    """Implements `PoolWorker`. Its process starts with the first task or `preload`."""

    def __init__(
        self, name: str, registry: ModelRegistry, machine: DeviceConfig, report: Report
    ) -> None:
        self._name, self._report = name, report
        self._engine = WorkerEngine(registry, machine)
        self._changed = threading.Condition()
        self._tasks: deque[tuple[int, Task]] = deque()
        self._job = self._cancelled = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """Implements PoolWorker, as the other methods do."""
        return self._name

    def start(self, job: int, task: Task) -> None:
        """Run a task; the second of two waits."""
        with self._changed:
            self._tasks.append((job, task))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def cancel(self, job: int) -> None:
        """Cancel a job."""
        with self._changed:
            if job == self._job:
                # under the lock, so that no other job has begun when the thread is woken
                self._cancelled = job
                self._engine.interrupt()
                return
            before = len(self._tasks)
            self._tasks = deque(entry for entry in self._tasks if entry[0] != job)
            was_waiting = len(self._tasks) < before
        if was_waiting:
            self._report(TaskCancelled(job))

    def preload(self, task: LoadTask) -> None:
        """Load a model."""
        self._engine.preload(task.model, task.options, task.recipe)

    def list_loaded(self) -> Sequence[str]:
        """The models in memory."""
        return self._engine.list_loaded()

    def has_model(self, model: str) -> bool:
        """Every model of this machine."""
        return True

    def get_memory_usage(self) -> int:
        """Bytes of main memory."""
        return self._engine.get_memory_usage()

    def restart(self) -> None:
        """End the process."""
        self._engine.restart()

    def close(self) -> None:
        """End the process and the thread."""
        with self._changed:
            self._closed = True
            self._tasks.clear()
            self._changed.notify()
        self._engine.close()
        if self._thread is not None:
            self._thread.join(timeout=5)

    # ── the thread ─────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while True:
            with self._changed:
                self._job = 0
                self._changed.wait_for(lambda: self._closed or self._tasks)
                if self._closed:
                    return
                self._job, task = self._tasks.popleft()
            answer = self._run_task(self._job, task)
            if isinstance(answer, WorkerLost):
                with self._changed:
                    self._tasks.clear()  # the pool gives them out again
            if not self._closed:
                self._report(answer)

    def _run_task(self, job: int, task: Task) -> PoolAnswer:
        """Run a task and report its progress; the answer that ends it."""
        self._report(TaskStarted(job))
        while True:
            try:
                events = self._engine.run_once(task)
                while True:
                    event = next(events)
                    if self._cancelled == job:
                        events.close()
                        return TaskCancelled(job)
                    if not isinstance(event, Waiting):
                        self._report(TaskProgress(job, event))
            except StopIteration as end:
                return TaskDone(job, end.value)
            except KeyboardInterrupt:
                if self._cancelled == job:
                    return TaskCancelled(job)
                # the interrupt was for the job before: this one is run again
            except WorkerExited as death:
                if self._engine.fails_to_start:
                    return WorkerLost(str(death), will_return=False)
                return WorkerLost(str(death), counts=not death.is_intended)
            except DreamError as error:
                if isinstance(error, WorkerDied) or error is self._engine.unusable:
                    return WorkerLost(error.message, error.hint, will_return=False, counts=False)
                return TaskFailed(job, error)
            except Exception as error:
                return TaskFailed(job, to_dream_error(error))
