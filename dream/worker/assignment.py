"""Decides which worker of a pool runs which job: no threads, no clock, no processes.

Every attempt at a job has a number of its own. An answer with another number, as from a worker that
was declared lost and answers after all, is dropped; so a job has one result.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from dream.core.errors import DreamError, EngineError, ModelError, WorkerDied
from dream.worker.pool_worker import WorkerLost
from dream.worker.protocol import FinishTask, Task, get_model

MAX_RETRIES = 2
"""How often a job is run again after a worker was lost on it."""
_MOST_EXAMINED = 100
"""Waiting jobs of one owner that are examined for a worker that has their model."""


@dataclass(eq=False)
class PoolJob:
    """A task that waits, or runs on a worker."""

    task: Task
    owner: str = ""
    """Whose it is: owners get equal shares of the workers."""
    sequence: int = 0
    losses: int = 0
    """How many workers were lost on it."""
    attempt: int = 0
    """The number of the attempt that runs; 0 while it waits, or is over."""
    refusals: dict[str, str] = field(default_factory=dict)
    """The workers that cannot run it, and why."""

    @property
    def order(self) -> tuple[bool, int]:
        """An image that is rendered is finished before another is begun."""
        return (not isinstance(self.task, FinishTask), self.sequence)


@dataclass
class _Attempt:
    worker: str
    job: PoolJob | None
    """None where it was cancelled: the worker is busy until it says that it has stopped."""


@dataclass
class _Seat:
    """A worker, as far as assignment knows it."""

    has_model: Callable[[str], bool]
    is_loaded: Callable[[str], bool]
    attempts: list[int] = field(default_factory=list)
    """The running one, and the one that waits behind it."""


@dataclass(frozen=True)
class Start:
    """This worker gets this job."""

    worker: str
    attempt: int
    job: PoolJob


class JobAssignment:
    """The jobs and the workers of a pool. Not thread-safe."""

    def __init__(self, max_retries: int = MAX_RETRIES) -> None:
        self._max_retries = max_retries
        self._seats: dict[str, _Seat] = {}
        self._waiting: dict[str, list[PoolJob]] = {}
        self._attempts: dict[int, _Attempt] = {}
        self._numbers, self._sequence = count(1), count(1)

    # ── workers ────────────────────────────────────────────────────────────────────────────────

    def add_worker(
        self,
        name: str,
        has_model: Callable[[str], bool] = lambda model: True,
        is_loaded: Callable[[str], bool] = lambda model: False,
    ) -> None:
        """A worker that takes jobs from now on."""
        assert name not in self._seats
        self._seats[name] = _Seat(has_model, is_loaded)

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of the workers that take jobs."""
        return tuple(self._seats)

    def lose_worker(
        self, name: str, *, will_return: bool, counts: bool
    ) -> tuple[list[PoolJob], list[PoolJob]]:
        """A worker was lost: its jobs wait again, before those that were submitted later. Returns
        these, and those that were lost too often and are over. A loss counts for the first of a
        worker's jobs only: the other had not begun."""
        seat = self._seats.get(name)
        if seat is None:
            return [], []
        again: list[PoolJob] = []
        over: list[PoolJob] = []
        for index, number in enumerate(seat.attempts):
            job = self._attempts.pop(number).job
            if job is None:
                continue
            job.attempt = 0
            job.losses += counts and index == 0
            if job.losses > self._max_retries:
                over.append(job)
            else:
                again.append(job)
                self._wait(job)
        seat.attempts.clear()
        if not will_return:
            del self._seats[name]
        return again, over

    def get_job(self, worker: str) -> PoolJob | None:
        """The job that runs on a worker."""
        seat = self._seats.get(worker)
        return self._attempts[seat.attempts[0]].job if seat and seat.attempts else None

    def list_cancelled(self) -> Iterator[tuple[str, int]]:
        """The workers, with the attempts, that have not stopped a cancelled job yet."""
        return ((one.worker, n) for n, one in self._attempts.items() if one.job is None)

    # ── jobs ───────────────────────────────────────────────────────────────────────────────────

    def submit(self, task: Task, owner: str = "") -> PoolJob:
        """A new job, which waits for a worker."""
        job = PoolJob(task, owner, next(self._sequence))
        self._wait(job)
        return job

    def cancel(self, job: PoolJob) -> tuple[str, int] | None:
        """A job is not wanted any more; the worker and the attempt to stop, if it was assigned."""
        if job.attempt:
            attempt = self._attempts[job.attempt]
            attempt.job, number, job.attempt = None, job.attempt, 0
            return attempt.worker, number
        waiting = self._waiting.get(job.owner, [])
        if job in waiting:
            waiting.remove(job)
        return None

    def find(self, attempt: int) -> PoolJob | None:
        """The job that an answer is about; None for one that is over, lost or cancelled."""
        found = self._attempts.get(attempt)
        return found.job if found else None

    def end(self, attempt: int) -> PoolJob | None:
        """An attempt has ended, and its worker is free for another. The job that is over, if it is
        still wanted and this was not a late answer."""
        found = self._attempts.pop(attempt, None)
        if found is None:
            return None
        self._seats[found.worker].attempts.remove(attempt)
        if found.job is not None:
            found.job.attempt = 0
        return found.job

    def refuse(self, attempt: int, reason: str) -> PoolJob | None:
        """A worker cannot run a job: it waits for another. The job, if it is still wanted."""
        found = self._attempts.get(attempt)
        job = self.end(attempt)
        if found is not None and job is not None:
            job.refusals[found.worker] = reason
            self._wait(job)
        return job

    def assign(self) -> list[Start]:
        """Give jobs to workers: one to each that is free, and then, while more jobs wait than there
        are workers, one more to wait at each that is busy, so that no worker waits for the
        session. Near the end none is bound to a slow worker."""
        starts = list(self._fill(0))
        if self.count_waiting > len(self._seats):
            starts += self._fill(1, keep=len(self._seats))
        return starts

    @property
    def count_waiting(self) -> int:
        """Jobs without a worker."""
        return sum(map(len, self._waiting.values()))

    def list_homeless(self) -> list[PoolJob]:
        """The waiting jobs that none of the workers can run, which wait no longer."""
        homeless = [
            job
            for jobs in self._waiting.values()
            for job in jobs
            if not any(_can_run(name, seat, job) for name, seat in self._seats.items())
        ]
        for job in homeless:
            self._waiting[job.owner].remove(job)
        return homeless

    def explain_homeless(self, job: PoolJob, last_loss: WorkerLost) -> DreamError:
        """Why no worker can run a job."""
        if job.refusals:
            return ModelError("; ".join(dict.fromkeys(job.refusals.values())))
        if self._seats:
            model = get_model(job.task)
            return EngineError(f"no worker has the model {model}", "!models lists those there are")
        hint = last_loss.hint or "!restart tries again"
        return WorkerDied(f"no worker is left; the last one: {last_loss.reason}", hint)

    def _wait(self, job: PoolJob) -> None:
        insort(self._waiting.setdefault(job.owner, []), job, key=lambda job: job.order)

    def _fill(self, busy: int, keep: int = 0) -> Iterator[Start]:
        """Jobs for the workers that have so many attempts, until `keep` jobs are left."""
        seats = {name: seat for name, seat in self._seats.items() if len(seat.attempts) == busy}
        while seats and self.count_waiting > keep and (found := self._choose(seats)) is not None:
            name, job = found
            self._waiting[job.owner].remove(job)
            job.attempt = next(self._numbers)
            self._attempts[job.attempt] = _Attempt(name, job)
            seats.pop(name).attempts.append(job.attempt)
            yield Start(name, job.attempt, job)

    def _choose(self, seats: dict[str, _Seat]) -> tuple[str, PoolJob] | None:
        """The next job, of the owner with the fewest running ones, and a worker: one that has its
        model in memory if there is one."""
        running = Counter(one.job.owner for one in self._attempts.values() if one.job is not None)
        owners = [owner for owner, jobs in self._waiting.items() if jobs]
        owners.sort(key=lambda owner: (running[owner], self._waiting[owner][0].order))
        for owner in owners:
            for job in self._waiting[owner][:_MOST_EXAMINED]:
                able = [name for name, seat in seats.items() if _can_run(name, seat, job)]
                if able:
                    model = get_model(job.task)
                    loaded = [name for name in able if model and seats[name].is_loaded(model)]
                    return (loaded or able)[0], job
        return None


def _can_run(name: str, seat: _Seat, job: PoolJob) -> bool:
    model = get_model(job.task)
    return name not in job.refusals and (model is None or seat.has_model(model))
