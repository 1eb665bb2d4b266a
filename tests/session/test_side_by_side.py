"""Several workers: what is saved, in which order, and what Ctrl-C keeps."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

from dream.core.errors import EngineError, WorkerDied
from dream.core.events import Cancelled, Event, Failed, Note, Saved, Step, Waiting
from dream.gallery import read_log
from dream.worker.protocol import RenderTask, Task
from tests.fake_workers import fake_pool, pooled_session
from tests.fakes import FakeEngine, fake_session


def uneven(number: int) -> FakeEngine:
    """A worker whose steps take a random time."""
    dice = random.Random(number)
    return FakeEngine(on_step=lambda progress: time.sleep(dice.random() / 500))


def logged(folder: Path) -> list[str]:
    return [line for _, line in read_log(folder / "outputs" / "dream_log.txt")]


def names(events: Iterator[Event]) -> list[str]:
    return [event.path.name for event in events if isinstance(event, Saved)]


def test_a_line_is_the_same_with_several_workers(tmp_path: Path) -> None:
    pool, workers = fake_pool(3, uneven)
    with pooled_session(tmp_path / "many", pool) as session:
        events = [*session.make("a cat -n9 -S7 --grid")]
    with fake_session(tmp_path / "one") as alone:
        [*alone.make("a cat -n9 -S7 --grid")]
    several, single = (
        [line.replace(f"{tmp_path / which}", "") for line in logged(tmp_path / which)]
        for which in ("many", "one")
    )
    assert several == single and len(single) == 10
    assert all(worker.started for worker in workers), "each has worked"
    assert {event.worker for event in events if isinstance(event, Step)} == {
        "fake 1",
        "fake 2",
        "fake 3",
    }
    assert not any(isinstance(event, Waiting) for event in events)
    assert session.seeds == alone.seeds
    assert [saved.path.name for saved in session.saved] == [s.path.name for s in alone.saved]


def test_what_is_left_of_a_line_is_what_is_not_on_disk(tmp_path: Path) -> None:
    pool, _ = fake_pool(2, uneven)
    with pooled_session(tmp_path, pool) as session:
        left = [
            [request.seed for request in event.left or ()]
            for event in session.make("a cat -n5 -S7")
            if isinstance(event, Saved)
        ]
        assert left == [session.seeds[done:] for done in range(1, 6)]


def test_a_lost_worker_is_replaced_and_a_third_loss_fails_the_image(tmp_path: Path) -> None:
    lost: list[int] = []

    def dies(task: Task) -> bool:
        assert isinstance(task, RenderTask)
        lost.append(task.recipe.seed)
        return task.recipe.seed == 7 or lost.count(task.recipe.seed) == 1

    pool, _ = fake_pool(2, dies=dies)
    with pooled_session(tmp_path, pool) as session:
        events = [*session.make("a cat -n3 -S7 -s1")]
        seeds = [event.request.seed for event in events if isinstance(event, Saved)]
        failed = [event.error for event in events if isinstance(event, Failed)]
    assert len(seeds) == 2 and 7 not in seeds
    assert lost.count(7) == 3 and isinstance(failed[0], WorkerDied)
    assert "3 times on this image" in str(failed[0])
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any("died (signal 9); rendering this image again" in text for text in notes)


def test_ctrl_c_saves_what_is_finished(tmp_path: Path) -> None:
    """The first image waits for ever; the second is finished and waits for it."""

    def engine(number: int) -> FakeEngine:
        return FakeEngine(pause=0.05 if number == 1 else 0)

    pool, _ = fake_pool(2, engine)
    with pooled_session(tmp_path, pool) as session:
        events = session.make("a cat -n2 -S7 -s40")
        seen: list[Event] = []
        for event in events:
            seen.append(event)
            done = [one for one in seen if isinstance(one, Step) and one.worker == "fake 2"]
            if len(done) == 40 and isinstance(event, Step) and event.worker == "fake 1":
                break
        seen = [events.throw(KeyboardInterrupt()), *events]
    saved = [event for event in seen if isinstance(event, Saved)]
    assert [event.request.seed for event in saved] == session.seeds != [7]
    assert [request.seed for request in saved[0].left or ()] == [7]
    assert saved[0].left_before == 1
    assert isinstance(seen[-1], Cancelled) and (seen[-1].finished, seen[-1].count) == (1, 2)
    assert len(logged(tmp_path)) == 1


def test_an_error_of_one_image_ends_no_other(tmp_path: Path) -> None:
    def engine(number: int) -> FakeEngine:
        return FakeEngine(
            fails=lambda recipe: EngineError("no such luck") if recipe.seed == 7 else None
        )

    pool, _ = fake_pool(2, engine)
    with pooled_session(tmp_path, pool) as session:
        events = [*session.make("a cat -n4 -S7")]
    assert len(logged(tmp_path)) == 3
    assert [str(e.error) for e in events if isinstance(e, Failed)] == ["no such luck"]


def test_closing_cancels_all_and_the_next_line_is_made(tmp_path: Path) -> None:
    pool, _ = fake_pool(2, lambda number: FakeEngine(pause=0.01))
    with pooled_session(tmp_path, pool) as session:
        events = session.make("a cat -n4 -S7 -s100")
        next(event for event in events if isinstance(event, Step))
        events.close()
        assert session.in_flight == 0
        assert len(names(session.make("a dog -s1"))) == 1
    assert len(logged(tmp_path)) == 1


def test_postprocessing_runs_on_any_worker(tmp_path: Path) -> None:
    pool, _ = fake_pool(2, uneven)
    with pooled_session(tmp_path, pool) as session:
        saved = names(session.make("a cat -n3 -S7 -U2 --save_original"))
    assert len(saved) == 6 and len(logged(tmp_path)) == 6
