"""!mask: two files beside a picture, and nothing left behind where it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dream.commands import COMMANDS, Context, ShowImage, run_line
from dream.core.errors import ModelError
from dream.core.events import Event, Note, Rejected, Step
from tests.fakes import FakeEngine, fake_session


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def context(tmp_path: Path, engine: FakeEngine) -> Context:
    (tmp_path / "outputs").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "outputs" / "my cat.png")
    return Context(fake_session(tmp_path, engine), history=list, commands=COMMANDS)


def files(context: Context) -> list[str]:
    return sorted(path.name for path in context.session.outdir.iterdir())


@pytest.mark.parametrize(
    "line", ['!mask "my cat.png" -tm "cat AND NOT dog" 0.4', "!mask my cat.png -tm cat"]
)
def test_a_mask_and_how_sure_it_is(context: Context, line: str) -> None:
    events = list(run_line(context, line))
    assert files(context) == ["my cat.heat.png", "my cat.mask.png", "my cat.png"]
    kinds = [type(event) for event in events]
    assert kinds == [Step, Note, Note, ShowImage], events
    assert "my cat.mask.png, a mask for -M" in str(events[2])


def test_nothing_is_overwritten(context: Context) -> None:
    for _ in range(2):
        list(run_line(context, '!mask "my cat.png" -tm cat'))
    assert files(context)[:4] == [
        "my cat.heat.02.png",
        "my cat.heat.png",
        "my cat.mask.02.png",
        "my cat.mask.png",
    ]


def refused(events: list[Event]) -> str:
    (event,) = (event for event in events if isinstance(event, Rejected))
    return str(event.error)


def test_what_fails_leaves_nothing_behind(context: Context, engine: FakeEngine) -> None:
    engine.load_fails = lambda model: ModelError("not on this machine")
    assert "not on this machine" in refused(list(run_line(context, '!mask "my cat.png" -tm cat')))
    assert files(context) == ["my cat.png"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("!mask", "usage: !mask FILE -tm WORDS"),
        ('!mask "my cat.png"', "usage: !mask FILE -tm WORDS"),
        ('!mask "my cat.png" -tm cat -s5', "other switches are not supported"),
        ('!mask "my cat.png" -tm "cat AND" 0.5', "-tm takes words such as"),
        ("!mask dog.png -tm dog", "there is no dog.png"),
        ("!mask -1 -tm dog", "there is no image -1 in this session"),
    ],
)
def test_what_cannot_be_done_is_said(context: Context, line: str, why: str) -> None:
    assert why in refused(list(run_line(context, line)))
    assert files(context) == ["my cat.png"]
