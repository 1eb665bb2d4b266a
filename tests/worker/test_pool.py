"""A pool of workers: what happens where they are lost, gone, or have not the model."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dream.core.errors import DreamError, EngineError, WorkerDied
from dream.core.events import Note, Waiting
from dream.core.picture import Picture
from dream.engine.interface import EngineEvents, PoolEngine
from dream.worker.pool import WorkerPool
from dream.worker.pool_worker import WorkerLost
from dream.worker.protocol import TaskDone
from tests.fake_workers import FakeWorker, fake_pool
from tests.fakes import FakeEngine
from tests.recipes import recipe


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made, _ = fake_pool(2)
    yield made
    made.close()


def run(pool: WorkerPool, events: EngineEvents) -> list[object]:
    """All but Waiting."""
    seen: list[object] = []
    for event in events:
        if isinstance(event, Waiting):
            pool.wait()
        else:
            seen.append(event)
    return seen


def test_a_pool_is_an_engine_with_several_workers(pool: WorkerPool) -> None:
    assert isinstance(pool, PoolEngine) and not isinstance(FakeEngine(), PoolEngine)
    assert pool.count_workers() == 2
    assert isinstance(run(pool, pool.render(recipe()))[-1], Picture)
    [*run(pool, pool.load("tiny"))]  # type: ignore[arg-type]
    assert pool.list_loaded() == ("tiny",)
    assert pool.get_memory_usage() == 2 << 30


def test_a_note_is_told_once_with_the_next_image(pool: WorkerPool) -> None:
    pool.add_note("10.0.0.7 is not used")
    first = run(pool, pool.render(recipe()))
    assert [one.text for one in first if isinstance(one, Note)] == ["10.0.0.7 is not used"]
    assert not [one for one in run(pool, pool.render(recipe())) if isinstance(one, Note)]


def test_workers_that_are_gone_are_tried_again_with_the_next_image() -> None:
    pool, workers = fake_pool(2)
    for worker in workers:
        worker.start = lambda job, task, worker=worker: worker.report(  # type: ignore[method-assign,misc]
            WorkerLost("no such GPU", "buy one", will_return=False, counts=False)
        )
    for _ in range(2):
        with pytest.raises(WorkerDied, match="no worker is left; the last one: no such GPU") as e:
            run(pool, pool.render(recipe()))
        assert "buy one" in str(e.value)
    assert pool.count_workers() == 1, "at least, for whoever divides by it"
    for worker in workers:
        del worker.start  # type: ignore[method-assign]
    assert isinstance(run(pool, pool.render(recipe()))[-1], Picture)
    pool.close()


def test_a_model_that_no_worker_has(pool: WorkerPool) -> None:
    for worker in pool._workers.values():
        assert isinstance(worker, FakeWorker)
        worker.has_models = False
    with pytest.raises(EngineError, match="no worker has the model"):
        run(pool, pool.render(recipe()))


def test_a_late_answer_changes_nothing() -> None:
    late: list[int] = []
    pool, workers = fake_pool(1)
    (worker,) = workers
    start = worker.start

    def lost_at_first(job: int, task: object) -> None:
        if late:
            worker.report(TaskDone(late[0], None))  # of the one that was declared lost
            start(job, task)  # type: ignore[arg-type]
        else:
            late.append(job)
            worker.report(WorkerLost("it no longer answered"))

    worker.start = lost_at_first  # type: ignore[method-assign,assignment]
    seen = run(pool, pool.render(recipe()))
    assert isinstance(seen[0], Note) and "it no longer answered" in seen[0].text
    assert isinstance(seen[-1], Picture) and len([e for e in seen if isinstance(e, Picture)]) == 1
    pool.close()


def test_whoever_waits_is_woken(pool: WorkerPool) -> None:
    threading.Timer(0.05, pool.wake).start()
    pool.wait()
    threading.Timer(0.05, pool.interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        pool.wait()


def test_an_error_of_the_task_is_raised() -> None:
    pool, _ = fake_pool(2, lambda number: FakeEngine(fails=lambda recipe: EngineError("no")))
    with pytest.raises(DreamError, match="no"):
        run(pool, pool.render(recipe()))
    pool.close()
