"""!control: one file beside an image, and nothing left behind where it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dream.commands import COMMANDS, Context, ShowImage, run_line
from dream.commands.completions import LineCompletions
from dream.core.errors import ModelError
from dream.core.events import Event, Note, Rejected, Step
from dream.line import parse_line
from dream.options.control import CONTROL_KINDS, UNSUPPORTED_KINDS, Control
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


def refused(events: list[Event]) -> str:
    (event,) = (event for event in events if isinstance(event, Rejected))
    return str(event.error)


@pytest.mark.parametrize("line", ['!control canny "my cat.png"', "!control Canny my cat.png"])
def test_a_map_is_written_beside_the_image(context: Context, line: str) -> None:
    events = list(run_line(context, line))
    assert files(context) == ["my cat.canny.png", "my cat.png"]
    assert [type(event) for event in events] == [Step, Note, ShowImage], events
    note = events[1]
    assert isinstance(note, Note)
    request = parse_line("a cat " + note.text.partition("; use it with ")[2])
    written = context.session.outdir / "my cat.canny.png"
    assert request.control == (Control("canny", written.as_posix()),) and request.control_raw


def test_nothing_is_overwritten(context: Context) -> None:
    for _ in range(2):
        list(run_line(context, '!control depth "my cat.png"'))
    assert files(context) == ["my cat.depth.02.png", "my cat.depth.png", "my cat.png"]


def test_the_last_image_of_the_session(context: Context) -> None:
    list(context.session.make("a cat"))
    (saved,) = context.session.saved
    list(run_line(context, "!control pose -1"))
    assert saved.path.with_name(f"{saved.path.stem}.pose.png").exists()


def test_other_programs_names_of_kinds_are_read(context: Context) -> None:
    list(run_line(context, '!control openpose "my cat.png"'))
    assert "my cat.pose.png" in files(context)


def test_what_fails_leaves_nothing_behind(context: Context, engine: FakeEngine) -> None:
    engine.load_fails = lambda model: ModelError("not on this machine")
    assert "not on this machine" in refused(list(run_line(context, "!control canny my cat.png")))
    assert files(context) == ["my cat.png"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("!control", "usage: !control KIND FILE"),
        ("!control canny", "usage: !control KIND FILE"),
        ("!control cany my cat.png", "usage: !control KIND FILE"),
        ("!control canny dog.png", "there is no dog.png"),
        ("!control canny -1", "there is no image -1 in this session"),
    ],
)
def test_what_cannot_be_done_is_said(context: Context, line: str, why: str) -> None:
    assert why in refused(list(run_line(context, line)))
    assert files(context) == ["my cat.png"]


@pytest.mark.parametrize("kind", UNSUPPORTED_KINDS)
def test_kinds_that_are_not_supported_name_the_alternative(context: Context, kind: str) -> None:
    said = refused(list(run_line(context, f"!control {kind} my cat.png")))
    assert f"maps of kind {kind} are not supported" in said and UNSUPPORTED_KINDS[kind] in said
    assert any(other in said for other in (*CONTROL_KINDS, "-I"))


class Files:
    """One picture in the current folder."""

    def find_values(self, kind: str, typed: str) -> list[str]:
        return []

    def find_arguments(self, kind: str, typed: str) -> list[tuple[str, str]]:
        return [("cat.png", "cat.png")] if "cat.png".startswith(typed) else []


@pytest.mark.parametrize(
    ("typed", "offers"),
    [
        ("!control c", ["canny"]),
        ("!control s", ["seg", "scribble", "softedge"]),
        ("!control canny ", ["cat.png"]),
        ("!control canny ca", ["cat.png"]),
        ("!control canny x", []),
    ],
)
def test_kinds_and_images_are_completed(context: Context, typed: str, offers: list[str]) -> None:
    found = LineCompletions(context, Files()).complete_line(typed, len(typed))
    assert [offer.text for offer in found] == offers
