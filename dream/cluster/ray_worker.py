"""A worker on a Ray node, from this side: implements `PoolWorker` over one actor at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray

from dream.cluster.file_hashes import ExpectedFiles, find_difference
from dream.cluster.input_files import read_input_files
from dream.cluster.node_messages import NodeState
from dream.cluster.required_files import RequiredFile, list_required_files
from dream.core.errors import DreamError, summarize
from dream.worker.channel import deserialize, serialize
from dream.worker.crash import to_dream_error
from dream.worker.pool_worker import PoolAnswer, Report, TaskRefused, WorkerLost
from dream.worker.protocol import (
    ConvertTask,
    FindMaskTask,
    LoadTask,
    MakeControlMapTask,
    Task,
    TaskCancelled,
    TaskFailed,
    get_model,
)

_WRITES_HERE = ConvertTask | FindMaskTask | MakeControlMapTask
"""Tasks whose result is a file at a path of this machine."""


@dataclass(frozen=True)
class NodePlace:
    """Where a worker runs."""

    name: str
    """For people, and unique: "10.0.0.7 gpu 0"."""
    is_here: bool
    """Whether it is this machine, which has the same files."""


@dataclass(frozen=True)
class _Prepared:
    """All that a node needs for a task."""

    task: bytes
    files: dict[str, bytes]


class RayWorker:
    """One worker. A thread sends and another receives; where the actor ends, the receiver makes
    another on the same node, for as long as the node is there."""

    def __init__(
        self,
        place: NodePlace,
        actor: Any,
        make_actor: Callable[[], Any],
        expected: ExpectedFiles,
        report: Report,
    ) -> None:
        """`actor` is ready; `make_actor` makes another, waits until it is ready, and raises where
        that is not possible."""
        self._place, self._make_actor, self._report = place, make_actor, report
        self._expected = expected
        self._changed = threading.Condition()
        self._actor: Any = actor
        self._losses = 0
        self._waiting: deque[tuple[int, Task]] = deque()
        self._preparing = self._cancelled = 0
        self._state = NodeState((), 0)
        self._equal: set[RequiredFile] = set()  # known to be equal there
        self._refused: set[str] = set()  # models
        self._closed = False
        self._gone = False  # no actor could be made
        self._start_thread("send", self._send_loop)
        self._start_thread("receive", self._receive_loop, actor)

    def _start_thread(self, name: str, loop: Callable[..., None], *arguments: Any) -> None:
        name = f"{name} {self.name}"
        threading.Thread(target=loop, args=arguments, name=name, daemon=True).start()

    @property
    def name(self) -> str:
        """Implements PoolWorker, as the other methods do."""
        return self._place.name

    def start(self, job: int, task: Task) -> None:
        """Run a task. A worker that was lost for good tries to return."""
        with self._changed:
            self._waiting.append((job, task))
            self._changed.notify_all()
            returns, self._gone = self._gone, False
        if returns:
            self._start_thread("receive", self._receive_loop, None)

    def cancel(self, job: int) -> None:
        """Cancel a job, wherever it is."""
        with self._changed:
            if job == self._preparing:
                self._cancelled = job
                return
            waiting = [entry for entry in self._waiting if entry[0] == job]
            for entry in waiting:
                self._waiting.remove(entry)
            actor = self._actor
        if waiting:
            self._report(TaskCancelled(job))
        elif actor is not None:
            with suppress(Exception):  # it is lost, which the receiver reports
                actor.cancel.remote(job)

    def preload(self, task: LoadTask) -> None:
        """Load a model there."""
        with suppress(Exception):
            self._actor.preload.remote(serialize(task))

    def list_loaded(self) -> Sequence[str]:
        """The models in memory when its last task ended."""
        return self._state.loaded

    def has_model(self, model: str) -> bool:
        """Whether the node was not found to have another file of that name."""
        return model not in self._refused

    def get_memory_usage(self) -> int:
        """Bytes of the worker's process when its last task ended."""
        return self._state.memory

    def restart(self) -> None:
        """End the worker's process, and forget which files differ."""
        self._refused.clear()
        self._equal.clear()
        self._expected.forget()
        with suppress(Exception):
            self._actor.restart.remote()

    def close(self) -> None:
        """End the actor and both threads."""
        with self._changed:
            self._closed = True
            actor, self._actor = self._actor, None
            self._changed.notify_all()
        if actor is not None:
            with suppress(Exception):
                ray.kill(actor)

    # ── the sending thread ─────────────────────────────────────────────────────────────────────

    def _send_loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._waiting and self._actor))
                if self._closed:
                    return
                job, task = self._waiting.popleft()
                actor, losses = self._actor, self._losses
                self._preparing = job
            prepared = self._prepare(actor, job, task)
            with self._changed:
                self._preparing = 0
                if self._losses != losses or self._closed:
                    continue  # the pool has given it to another worker
                if self._cancelled == job:
                    prepared = TaskCancelled(job)
            if isinstance(prepared, _Prepared):
                with suppress(Exception):  # it is lost, which the receiver reports
                    actor.start.remote(job, prepared.task, prepared.files)
            elif prepared is not None:
                self._report(prepared)

    def _prepare(self, actor: Any, job: int, task: Task) -> _Prepared | PoolAnswer | None:
        """What to send, or why it is not sent; None where the actor is lost."""
        try:
            if reason := self._refuse(actor, task):
                return TaskRefused(job, reason)
            return _Prepared(serialize(task), read_input_files(task))
        except DreamError as error:
            return TaskFailed(job, error)
        except ray.exceptions.RayError:
            return None
        except Exception as error:
            return TaskFailed(job, to_dream_error(error))

    def _refuse(self, actor: Any, task: Task) -> str:
        """Why the node cannot run a task; empty if it can. Raises ModelError, RayError."""
        if isinstance(task, _WRITES_HERE) and not self._place.is_here:
            return f"{self.name} is another machine, and this command writes files on this one"
        files = [file for file in list_required_files(task) if file not in self._equal]
        if not files:
            return ""
        here = self._expected.get(files)
        there = ray.get(actor.hash_files.remote([tuple(file) for file in files]))
        if isinstance(there, str):
            return f"{self.name}: {there}"
        found = find_difference(here, dict(zip(files, there, strict=True)), self.name)
        if found is None:
            self._equal.update(files)
            return ""
        if found[0].name == get_model(task):
            self._refused.add(found[0].name)
        return found[1]

    # ── the receiving thread ───────────────────────────────────────────────────────────────────

    def _receive_loop(self, actor: Any) -> None:
        while True:
            if actor is None:
                try:
                    actor = self._make_actor()
                except Exception as error:
                    self._lose(None, gone=True)
                    reason = to_reason(error)
                    self._report(WorkerLost(reason, will_return=False, counts=False))
                    return
                if self._lose(actor):
                    with suppress(Exception):
                        ray.kill(actor)
                    return
            reason = self._follow(actor)
            with suppress(Exception):
                ray.kill(actor)
            actor = None
            if self._lose(None):
                return
            self._report(WorkerLost(reason))

    def _lose(self, actor: Any, *, gone: bool = False) -> bool:
        """What was started is not running any more; from now on there is this actor, or none.
        Whether the worker is closed."""
        with self._changed:
            self._gone = gone
            if actor is None:
                self._losses += 1
                self._waiting.clear()
            self._state = NodeState((), 0)
            self._equal.clear()
            if not self._closed:
                self._actor = actor
            self._changed.notify_all()
            return self._closed

    def _follow(self, actor: Any) -> str:
        """Report what an actor answers until it ends; why it did."""
        try:
            for answer in actor.stream_answers.remote():
                self._handle(deserialize(ray.get(answer)))
        except Exception as error:
            return to_reason(error)
        return "its actor ended"

    def _handle(self, answer: object) -> None:
        match answer:
            case NodeState():
                self._state = answer
                return
            case WorkerLost():
                with self._changed:
                    self._losses += 1
                    self._waiting.clear()
        self._report(answer)  # type: ignore[arg-type]


def to_reason(error: BaseException) -> str:
    """Ray's error in a few words."""
    text = str(error).strip()
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "low on memory" in text:
        return "Ray ended it because its machine was short of memory"
    if isinstance(error, ray.exceptions.GetTimeoutError):
        return "its actor did not start in time"
    if isinstance(error, ray.exceptions.ActorUnschedulableError):
        return "its node left the cluster"  # each actor is bound to one
    if isinstance(error, ray.exceptions.RayActorError):
        dead_node = "node" in text and any(word in text for word in ("died", "dead", "terminated"))
        if dead_node and "worker process" not in text:
            return "its node left the cluster"
        return "its actor ended"
    return summarize(error)
