"""A worker whose node left, over an actor that is not Ray's."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from dream.worker.channel import serialize
from dream.worker.pool_worker import PoolAnswer, WorkerLost
from dream.worker.protocol import ConvertTask, TaskDone

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
TASK = ConvertTask("random", Path("folder"))
"""Reads nothing that has to be compared."""


class LocalActor:
    """Has done a task as soon as it is started, and ends when it is told to."""

    def __init__(self) -> None:
        self._answers: SimpleQueue[bytes | None] = SimpleQueue()
        self.start = SimpleNamespace(remote=self._start)
        self.stream_answers = SimpleNamespace(remote=self._stream)

    def end(self) -> None:
        self._answers.put(None)

    def _start(self, job: int, task: bytes, files: dict[str, bytes]) -> None:
        self._answers.put(serialize(TaskDone(job, None)))

    def _stream(self) -> Iterator[bytes]:
        while (answer := self._answers.get()) is not None:
            yield answer


def test_a_worker_that_was_lost_for_good_returns_with_its_next_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After !restart, or where no other worker is left: the task neither waits for ever nor is it
    lost."""
    from dream.cluster import ray_worker

    monkeypatch.setattr(ray_worker.ray, "get", lambda answer: answer)
    monkeypatch.setattr(ray_worker.ray, "kill", LocalActor.end)
    reports: SimpleQueue[PoolAnswer] = SimpleQueue()
    first, second = LocalActor(), LocalActor()
    results: list[Any] = [OSError("no node"), OSError("still none"), second]

    def make_actor() -> LocalActor:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]

    place = ray_worker.NodePlace("here cpu 0", is_here=True)
    expected: Any = None
    worker = ray_worker.RayWorker(place, first, make_actor, expected, reports.put)
    try:
        worker.start(1, TASK)
        assert reports.get(timeout=20) == TaskDone(1, None)
        first.end()
        assert reports.get(timeout=20) == WorkerLost("its actor ended")
        gone = reports.get(timeout=20)
        assert gone == WorkerLost("no node", will_return=False, counts=False)
        worker.start(2, TASK)
        assert reports.get(timeout=20) == WorkerLost("still none", will_return=False, counts=False)
        worker.start(3, TASK)
        assert reports.get(timeout=20) == TaskDone(3, None)
    finally:
        worker.close()
