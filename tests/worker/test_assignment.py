"""Which worker runs what, with simulated time: no thread, no process, no clock."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from dream.core.errors import ModelError
from dream.core.recipe import Recipe
from dream.session.side_by_side import WINDOW, SaveOrder
from dream.worker.assignment import MAX_RETRIES, JobAssignment, PoolJob
from dream.worker.pool_worker import WorkerLost
from dream.worker.protocol import FinishTask, RenderTask
from tests.recipes import recipe


@dataclass
class Simulation:
    """A batch on simulated workers: some are slow, some die, and some answer after they were
    declared dead."""

    count: int
    images: int
    dice: random.Random
    deaths: float = 0.05
    """Of a task; half of the dead answer later all the same."""
    stragglers: float = 0.02
    """Tasks that take fifty times as long."""
    saved: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    dropped: int = 0
    most_in_flight: int = 0

    def run(self) -> None:
        """Render all; what is done is saved in order, within the window of the session."""
        jobs = JobAssignment()
        for number in range(self.count):
            jobs.add_worker(f"worker {number}")
        order, place_of = SaveOrder(), dict[PoolJob, int]()
        done: dict[int, bool] = {}
        submitted, now = 0, 0.0
        happenings: list[tuple[float, int, str, int, str]] = []
        serial = 0

        def happen(seconds: float, worker: str, attempt: int, what: str) -> None:
            nonlocal serial
            serial += 1
            heapq.heappush(happenings, (now + seconds, serial, worker, attempt, what))

        running: dict[str, list[int]] = {worker: [] for worker in jobs.workers}

        def begin(worker: str) -> None:
            """The first of a worker's tasks starts."""
            if running[worker]:
                took = self.dice.uniform(0.5, 1.5)
                took *= 50 if self.dice.random() < self.stragglers else 1
                dies = self.dice.random() < self.deaths
                happen(took, worker, running[worker][0], "dies" if dies else "done")

        while len(self.saved) + len(self.failed) < self.images:
            while submitted < self.images and len(place_of) + len(done) < WINDOW * self.count:
                place_of[jobs.submit(RenderTask(RECIPE))] = submitted
                submitted += 1
            self.most_in_flight = max(self.most_in_flight, len(place_of) + len(done))
            for start in jobs.assign():
                running[start.worker].append(start.attempt)
                assert len(running[start.worker]) <= 2
                if len(running[start.worker]) == 1:
                    begin(start.worker)
            now, _, worker, attempt, what = heapq.heappop(happenings)
            if what == "dies":
                running[worker] = []
                if self.dice.random() < 0.5:
                    happen(self.dice.uniform(0, 3), worker, attempt, "late")
                _, over = jobs.lose_worker(worker, will_return=True, counts=True)
                for job in over:
                    assert job.losses == MAX_RETRIES + 1
                    done[place_of.pop(job)] = False
            else:
                if what == "done":
                    running[worker].remove(attempt)
                    begin(worker)
                job = jobs.end(attempt)
                self.dropped += what == "late" and job is None
                assert (job is None) == (what == "late")
                if job is not None:
                    done[place_of.pop(job)] = True
            for place in sorted(done):
                if order.is_turn(place):
                    (self.saved if done.pop(place) else self.failed).append(place)
                    order.leave(place)
        assert not place_of and not done


RECIPE: Recipe = recipe()


def test_ten_thousand_images_are_saved_once_and_in_order() -> None:
    run = Simulation(16, 10_000, random.Random(0))
    run.run()
    assert run.saved == sorted(run.saved) and len({*run.saved, *run.failed}) == 10_000
    assert len(run.saved) + len(run.failed) == 10_000
    assert len(run.failed) < 10, "three deaths on one image are rare"
    assert run.dropped > 100, "late answers came, and were dropped"
    assert run.most_in_flight <= WINDOW * 16


@given(
    workers=st.integers(1, 16),
    images=st.integers(1, 60),
    deaths=st.floats(0, 0.9),
    stragglers=st.floats(0, 0.5),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_each_image_ends_once(
    workers: int, images: int, deaths: float, stragglers: float, seed: int
) -> None:
    run = Simulation(workers, images, random.Random(seed), deaths, stragglers)
    run.run()
    assert run.saved == sorted(run.saved)
    assert sorted([*run.saved, *run.failed]) == list(range(images))


def test_a_worker_that_is_gone_for_good_gets_nothing() -> None:
    jobs = JobAssignment()
    jobs.add_worker("a")
    jobs.add_worker("b")
    job = jobs.submit(RenderTask(RECIPE))
    (start,) = jobs.assign()
    again, over = jobs.lose_worker(start.worker, will_return=False, counts=True)
    assert again == [job] and not over
    (second,) = jobs.assign()
    assert second.worker != start.worker and second.attempt != start.attempt
    assert jobs.end(start.attempt) is None, "a late answer"
    assert jobs.end(second.attempt) is job
    jobs.lose_worker(second.worker, will_return=False, counts=True)
    left = jobs.submit(RenderTask(RECIPE))
    assert jobs.assign() == [] and jobs.list_homeless() == [left]


def test_a_task_goes_where_its_model_is() -> None:
    jobs = JobAssignment()
    jobs.add_worker("without", has_model=lambda model: False)
    jobs.add_worker("cold")
    jobs.add_worker("warm", is_loaded=lambda model: True)
    for expected in ("warm", "cold"):
        jobs.submit(RenderTask(RECIPE))
        (start,) = jobs.assign()
        assert start.worker == expected


def test_owners_have_equal_shares() -> None:
    jobs = JobAssignment()
    for name in "abcd":
        jobs.add_worker(name)
    for _ in range(8):
        jobs.submit(RenderTask(RECIPE), "first")
    for _ in range(2):
        jobs.submit(RenderTask(RECIPE), "second")
    owners = [start.job.owner for start in jobs.assign()[:4]]
    assert sorted(owners) == ["first", "first", "second", "second"]


def test_an_image_is_finished_before_another_is_begun() -> None:
    from PIL import Image

    from dream.core.picture import Picture
    from dream.core.stages import STAGES

    jobs = JobAssignment()
    jobs.add_worker("a")
    jobs.submit(RenderTask(RECIPE))
    picture = Picture(Image.new("RGB", (8, 8)), RECIPE)
    stage = next(stage for stage in STAGES if not stage.needs_model)
    last = jobs.submit(FinishTask(picture, stage))
    (start,) = jobs.assign()
    assert start.job is last


def test_a_cancelled_job_keeps_its_worker_until_it_has_stopped() -> None:
    jobs = JobAssignment()
    jobs.add_worker("a")
    job = jobs.submit(RenderTask(RECIPE))
    (start,) = jobs.assign()
    assert jobs.cancel(job) == ("a", start.attempt)
    assert jobs.find(start.attempt) is None
    assert [*jobs.list_cancelled()] == [("a", start.attempt)]
    waiting = jobs.submit(RenderTask(RECIPE))
    assert jobs.assign() == []
    assert jobs.end(start.attempt) is None
    assert [one.job for one in jobs.assign()] == [waiting]


def test_a_refused_job_goes_to_another_worker_and_never_back() -> None:
    jobs = JobAssignment()
    jobs.add_worker("one")
    jobs.add_worker("two")
    job = jobs.submit(RenderTask(recipe()))
    (first,) = jobs.assign()
    assert jobs.refuse(first.attempt, "the model random on one is another file") is job
    assert jobs.refuse(first.attempt, "a late answer") is None
    (second,) = jobs.assign()
    assert {first.worker, second.worker} == {"one", "two"} and job.losses == 0
    assert jobs.refuse(second.attempt, "two: there is no model random") is job
    assert jobs.assign() == [] and jobs.list_homeless() == [job]
    error = jobs.explain_homeless(job, WorkerLost(""))
    assert isinstance(error, ModelError)
    assert error.message == (
        "the model random on one is another file; two: there is no model random"
    )


def test_a_cancelled_job_that_is_refused_is_over() -> None:
    jobs = JobAssignment()
    jobs.add_worker("one")
    job = jobs.submit(RenderTask(recipe()))
    (start,) = jobs.assign()
    jobs.cancel(job)
    assert jobs.refuse(start.attempt, "another file") is None
    assert jobs.count_waiting == 0 and jobs.get_job("one") is None
