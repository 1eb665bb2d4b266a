"""A batch with a plan: each image exactly once, in order, whatever dies in between."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from dream.core.errors import EngineError, GalleryError
from dream.core.events import Cancelled, Event, Events, Failed, Note, Rejected, Saved
from dream.session import Session
from dream.session.batch_plan import BatchPlan, find_plan, list_plans
from dream.session.run_plan import resume_batch, run_batch
from tests.fake_workers import fake_pool, pooled_session
from tests.fakes import FakeEngine, fake_session
from tests.session.test_side_by_side import logged, uneven

LINES = [
    "a cat -S1",
    "# a comment",
    "a dog -n3 -S5 --grid",
    "a cat on -I -1 -f0.5 -S9",
    "the seed before -S -1",
    "a mouse -S3 -U2",
    "!fix -1 -U2",
    "a cat -S1",
    "a bird -S4 -s1",
]
PICTURES = 10


def numbered(lines: Iterable[str] = LINES) -> list[tuple[int, str]]:
    return list(enumerate(lines, 1))


def without_folder(lines: Iterable[str], folder: Path) -> list[str]:
    """Without the hashes of PNGs too, which have the seconds that they took."""
    return [
        re.sub(r" (init_img|fix):\w+", "", line.replace(folder.as_posix(), "")) for line in lines
    ]


def one_worker(folder: Path, lines: Iterable[str] = LINES) -> list[str]:
    """The log of one worker, without plan."""
    with fake_session(folder) as session:
        [*session.make_all(numbered(lines))]
    return without_folder(logged(folder), folder)


def resume_all(session: Session) -> list[Event]:
    (plan,) = list_plans(session.outdir)
    return [*resume_batch(session, plan)]


def stop_after(events: Events[None], count: int) -> None:
    """Close the events at that image, as a driver that is killed between two."""
    for event in events:
        count -= isinstance(event, Saved)
        if not count:
            break
    events.close()


def test_the_log_is_that_of_one_worker(tmp_path: Path) -> None:
    pool, workers = fake_pool(3, uneven)
    with pooled_session(tmp_path / "many", pool) as session:
        events = [*run_batch(session, numbered(), "lines.txt")]
    assert not [event for event in events if isinstance(event, Rejected | Failed)]
    log = without_folder(logged(tmp_path / "many"), tmp_path / "many")
    assert log == one_worker(tmp_path / "one") and len(log) == PICTURES + 1
    assert not list_plans(session.outdir)
    assert not (session.outdir / ".dream_batch").exists()
    assert len([worker for worker in workers if worker.started]) > 1


@pytest.mark.parametrize("made", [1, 3, 4, 5, 7])
def test_a_killed_batch_is_resumed(tmp_path: Path, made: int) -> None:
    """Wherever it stops: with several workers or one, the rest is made, and nothing twice."""
    pool, _ = fake_pool(2, uneven)
    with pooled_session(tmp_path, pool) as session:
        stop_after(run_batch(session, numbered(), "lines.txt"), made)
    with pooled_session(tmp_path, fake_pool(2)[0]) if made % 2 else fake_session(tmp_path) as again:
        for plan in list_plans(again.outdir):
            events = [*resume_batch(again, plan)]
            assert not [event for event in events if isinstance(event, Rejected | Failed)]
    saved = [line for line in logged(tmp_path) if not line.startswith("#")]
    alone = [line for line in one_worker(tmp_path / "one") if not line.startswith("#")]
    assert [*map(unnumbered, without_folder(saved, tmp_path))] == [*map(unnumbered, alone)]
    assert not list_plans(again.outdir)


def unnumbered(line: str) -> str:
    """A log line without the number of its command: what is left of a line gets another."""
    return re.sub(r"/0000\d\d\.", "/N.", line)


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    def engine(number: int) -> FakeEngine:
        return FakeEngine(fails=lambda recipe: EngineError("oh") if recipe.seed == 5 else None)

    with pooled_session(tmp_path, fake_pool(2, engine)[0]) as session:
        events = [*run_batch(session, numbered(["a cat -S1", "a dog -S5"]), "lines.txt")]
    text = [event.text for event in events if isinstance(event, Note)][-1]
    assert text.startswith("1 image failed; dream --resume lines-")
    with pooled_session(tmp_path, fake_pool(2)[0]) as session:
        resume_all(session)
    assert len(logged(tmp_path)) == 2 and not list_plans(session.outdir)


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    with pooled_session(tmp_path, fake_pool(2)[0]) as session:
        events = run_batch(session, numbered(["a cat -S1 -n50"]), "lines.txt")
        next(event for event in events if isinstance(event, Saved))
        rest = [events.throw(KeyboardInterrupt()), *events]
    ends = [event for event in rest if isinstance(event, Cancelled)]
    assert len(ends) == 1 and ends[0].count == 50
    assert ends[0].finished == len(logged(tmp_path))
    assert isinstance(rest[-1], Note) and "dream --resume lines-" in rest[-1].text


def test_a_rejected_line_ends_no_other(tmp_path: Path) -> None:
    with pooled_session(tmp_path, fake_pool(2)[0]) as session:
        lines = ["a cat --no_such_switch", "a cat -S1", "a dog -S -9"]
        events = [*run_batch(session, numbered(lines), "lines.txt")]
    assert [event.number for event in events if isinstance(event, Rejected)] == [1, 3]
    assert len(logged(tmp_path)) == 1


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    with pooled_session(tmp_path, fake_pool(2)[0]) as session:
        stop_after(run_batch(session, numbered(), "lines.txt"), 1)
    (path,) = list_plans(session.outdir)
    plan = BatchPlan.read(path)
    plan.write(path)
    assert BatchPlan.read(path) == plan and plan.source == "lines.txt"
    assert find_plan(session.outdir, path.stem) == path
    path.write_text(path.read_text()[:-20])
    with pytest.raises(GalleryError, match="is not a plan"):
        BatchPlan.read(path)
    for name in ("nothing", "../outputs", "a/b"):
        with pytest.raises(GalleryError, match="there is no plan"):
            find_plan(session.outdir, name)


def test_images_from_before_the_batch_do_not_count(tmp_path: Path) -> None:
    with fake_session(tmp_path) as session:
        [*session.make_all(numbered(["a cat -S1"]))]
    with pooled_session(tmp_path, fake_pool(2)[0]) as session:
        stop_after(run_batch(session, numbered(["a cat -S1", "a dog -S2"]), "x.txt"), 1)
    with pooled_session(tmp_path, fake_pool(2)[0]) as session:
        resume_all(session)
    assert len(logged(tmp_path)) == 3
