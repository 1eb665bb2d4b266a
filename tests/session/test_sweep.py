"""A sweep through the house, with the fake engine: single lines, one seed, one sheet."""

from __future__ import annotations

from pathlib import Path

import pytest

from dream.core.errors import EngineError
from dream.core.events import (
    Cancelled,
    Event,
    Failed,
    Grid,
    LineStarted,
    Note,
    Planned,
    Rejected,
    Saved,
)
from dream.core.messages import format_event
from dream.core.recipe import Recipe
from dream.gallery import LOG_NAME
from dream.line import Sweep, parse_line, parse_log_line, parse_sweep
from dream.session import Session, derive_seeds
from tests.fakes import FakeEngine, fake_session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return fake_session(tmp_path)


def recipes(session: Session) -> list[Recipe]:
    assert isinstance(session.engine, FakeEngine)
    return session.engine.rendered


def of(kind: type[Event], events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_each_picture_has_a_log_line_of_its_own_that_makes_it_again(session: Session) -> None:
    events = list(session.make("a cat -C 5,7.5 -A k_euler,ddim -S1"))
    first, queued = events[:2]
    assert first == Note(text="4 images: 2 × -C, 2 × -A"), "announced before anything is made"
    assert isinstance(queued, LineStarted) and queued.count == 4
    log = [
        parse_log_line(line).line for line in (session.outdir / LOG_NAME).read_text().splitlines()
    ]
    assert [parse_line(line) for line in log] == [
        recipe.to_request() for recipe in recipes(session)
    ]
    before = list(recipes(session))
    for line in log:
        list(session.make(line))
    assert recipes(session) == before * 2


def test_an_open_seed_is_drawn_once_for_all(session: Session) -> None:
    list(session.make("a cat -s 1..3 -n2"))
    first = recipes(session)[0].seed
    assert [recipe.seed for recipe in recipes(session)] == derive_seeds(first, 2) * 3
    assert [recipe.steps for recipe in recipes(session)] == [1, 1, 2, 2, 3, 3]


def test_seeds_of_the_past_can_be_swept(session: Session) -> None:
    session.seeds += [10, 20]
    list(session.make("a cat -S -1,-2,5"))
    assert [recipe.seed for recipe in recipes(session)] == [20, 10, 5]


def test_a_wrong_item_makes_nothing(session: Session) -> None:
    (event,) = session.make("a cat -s 1,2 -A k_euler,dim")
    assert isinstance(event, Rejected)
    assert "did you mean ddim?" in str(event.error)
    assert recipes(session) == []


def test_a_dry_run_plans_single_lines(session: Session) -> None:
    planned = of(Planned, list(session.plan("a cat -S1..3 -s 1,2")))
    lines = [event.line for event in planned if isinstance(event, Planned)]
    assert len(lines) == 6
    assert all(parse_sweep(line) == Sweep(parse_line(line)) for line in lines)


def test_a_file_of_sweeps_is_made_without_being_asked(session: Session, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a -S1..101 -s1\nb -C 2,3\n")
    events = list(session.replay(tmp_path / "list.txt"))
    assert Note(text="101 images: 101 × -S") in events
    assert len(of(Saved, events)) == 103


def test_the_sheet_is_kept_with_the_whole_line(session: Session) -> None:
    (grid,) = of(Grid, list(session.make("a cat -C 5,7.5 -s 1..3 -n2 --sheet -S1")))
    assert isinstance(grid, Grid) and grid.path.name == "000001.sheet.png"
    assert format_event(grid) == f"{grid.path.as_posix()}  (sheet)"
    comment = (session.outdir / LOG_NAME).read_text().splitlines()[-1]
    line = comment.partition(".png: ")[2]
    assert comment.startswith("# ")
    assert parse_sweep(line).count == 12
    assert parse_sweep(line).axes == parse_sweep("x -s 1..3 -C 5,7.5").axes


@pytest.mark.parametrize("line", ["a cat --sheet", "a cat -n3 --sheet", "a cat -S1..3 --sheet"])
def test_a_sheet_needs_no_sweep(session: Session, line: str) -> None:
    assert len(of(Grid, list(session.make(line)))) == 1


def test_a_sheet_has_gaps_where_pictures_failed_or_were_cancelled(tmp_path: Path) -> None:
    def fails(recipe: Recipe) -> EngineError | None:
        return EngineError("dark") if recipe.steps == 2 else None

    def press(progress: object) -> None:
        if engine.rendered[-1].steps == 4:
            raise KeyboardInterrupt

    engine = FakeEngine(fails=fails, on_step=press)
    events = list(fake_session(tmp_path, engine).make("a cat -s 1..5 --sheet"))
    assert len(of(Failed, events)) == len(of(Cancelled, events)) == len(of(Grid, events)) == 1
    assert len(of(Saved, events)) == 2


def test_a_sheet_shows_the_enlarged_pictures_or_what_there_is(tmp_path: Path) -> None:
    no = EngineError("no")
    engine = FakeEngine(finish_fails=lambda recipe, stage: no if recipe.seed > 1 else None)
    events = list(fake_session(tmp_path, engine).make("a cat -S1..2 -U2 -save_orig --sheet"))
    assert len(of(Saved, events)) == 3
    assert len(of(Grid, events)) == 1


def test_the_session_remembers_what_it_kept_and_what_was_asked_last(session: Session) -> None:
    events = list(session.make("a cat -s 1,2 -U2 -save_orig"))
    assert [saved.path for saved in session.saved] == [
        saved.path
        for saved in events
        if isinstance(saved, Saved) and saved.path.name.endswith("upscaled.png")
    ]
    assert session.last is not None
    assert session.last.axes == parse_sweep("x -s 1,2").axes
    assert session.last.first.seed == recipes(session)[0].seed
