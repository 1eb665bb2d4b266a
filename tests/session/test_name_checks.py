"""What a line or a default names, besides pictures, is looked for before anything is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dream.commands import COMMANDS, Context, run_line
from dream.core.errors import ModelError
from dream.core.events import Note, Planned, Rejected
from dream.session import Session, find_wrong_defaults, summarize_plan
from tests.catalogue.test_detect import write
from tests.fakes import FakeEngine, fake_session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    (tmp_path / "file").touch()
    lora = tmp_path / "models" / "VAE" / "nope-style.safetensors"
    lora.parent.mkdir(parents=True)
    write(lora, {"lora_unet_x.lora_down.weight": (4, 8)})
    return fake_session(tmp_path)


@pytest.mark.parametrize(
    "spelling", ["-U2 --upscaler=nope", "--vae=nope", "--vae=nope-style", "--model=nope"]
)
def test_a_line_is_refused_before_it_is_made_planned_or_foreseen(
    session: Session, spelling: str
) -> None:
    for events in (session.make(f"a cat {spelling}"), session.plan(f"a cat {spelling}")):
        (event,) = events
        assert isinstance(event, Rejected) and "nope" in str(event.error)
    with pytest.raises(ModelError):
        summarize_plan(session, f"a cat {spelling}")
    assert isinstance(session.engine, FakeEngine) and session.engine.rendered == []


def test_what_is_named_and_not_used_is_no_fault(session: Session) -> None:
    note, event = session.plan("a cat --upscaler=nope --vae=none")
    assert isinstance(event, Planned)
    assert isinstance(note, Note) and note.text == "--upscaler ignored: nothing is upscaled (-U)"


@pytest.mark.parametrize(
    "spelling", ["model nope", "vae nope", "vae nope-style", "upscaler = nope", "outdir {}/file"]
)
def test_a_default_is_refused_when_it_is_set(
    session: Session, tmp_path: Path, spelling: str
) -> None:
    before = session.base
    (event,) = run_line(Context(session, tuple, COMMANDS), f"!set {spelling.format(tmp_path)}")
    assert isinstance(event, Rejected)
    assert session.base == before


def test_settings_may_be_written_as_in_dream_toml(session: Session) -> None:
    list(run_line(Context(session, tuple, COMMANDS), "!set steps = 7"))
    list(run_line(Context(session, tuple, COMMANDS), "!set cfg_scale=3"))
    assert (session.base.steps, session.base.cfg_scale) == (7, 3)


def test_wrong_defaults_of_the_start_are_said(session: Session) -> None:
    base = replace(session.base, upscaler="nope", vae="none", model="neither")
    events = list(find_wrong_defaults(session.registry, base))
    assert [line.partition(":")[0] for line in events] == ["model", "upscaler"]
    assert list(find_wrong_defaults(session.registry, base, extra=("model", "upscaler"))) == []
