"""What one worker of a pool offers, and what it reports.

A worker runs tasks one after the other, in a process of its own, on this machine or on another. It
never retries and knows no order: `worker.assignment` decides which worker runs what, and the
session which image is saved when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dream.worker.protocol import (
    LoadTask,
    TaskCancelled,
    TaskDone,
    TaskFailed,
    TaskProgress,
    TaskStarted,
)
from dream.worker.protocol import Task as Task


@dataclass(frozen=True)
class WorkerLost:
    """The worker's process has ended, and with it all that was started on it."""

    reason: str
    hint: str = ""
    """What the user can do about it."""
    will_return: bool = True
    """Whether it has replaced itself, or does so with its next task. Otherwise it is not used
    again."""
    counts: bool = True
    """Whether the running job may be to blame. Not where the worker was ended on purpose."""


@dataclass(frozen=True)
class TaskRefused:
    """This worker cannot run the job, and another may: its machine has another file of that name,
    or none."""

    job: int
    reason: str


PoolAnswer = (
    TaskStarted | TaskProgress | TaskDone | TaskFailed | TaskCancelled | TaskRefused | WorkerLost
)
"""Exactly one of TaskDone, TaskFailed, TaskCancelled and TaskRefused ends a job, unless the worker
is lost before."""

Report = Callable[[PoolAnswer], None]
"""Tells the pool what happened. May be called from any thread, and does not block."""


class PoolWorker(Protocol):
    """One worker. No method blocks, and only the constructor raises."""

    @property
    def name(self) -> str:
        """What it is called for people: "cuda:0", "cpu 2". Constant, and unique in its pool."""

    def start(self, job: int, task: Task) -> None:
        """Run a task; a second one waits until the first has ended. Numbers of jobs are unique: an
        image that is rendered again has a new one."""

    def cancel(self, job: int) -> None:
        """Cancel a job. Unknown numbers are ignored; may be called again until the job has
        ended."""

    def preload(self, task: LoadTask) -> None:
        """Load a model when there is nothing else to do."""

    def list_loaded(self) -> Sequence[str]:
        """The names of the models in memory, the one used last at the end."""

    def has_model(self, model: str) -> bool:
        """Whether it can load this model."""

    def get_memory_usage(self) -> int:
        """Bytes of main memory of its process; 0 where that is not known."""

    def restart(self) -> None:
        """End its process. It reports WorkerLost, which does not count, if a job was running."""

    def close(self) -> None:
        """End it. Later reports are ignored."""


WorkerFactory = Callable[[Report], PoolWorker]
"""Makes a worker that reports to this function."""
