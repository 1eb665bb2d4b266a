"""The log line of an image with --control renders the same pixels again."""

from __future__ import annotations

import random
from typing import Any

import pytest
from PIL import Image, ImageDraw

from dream.catalogue import ModelRegistry
from dream.core.events import Failed, Note, Rejected, Saved
from dream.core.request import Request
from dream.gallery import LOG_NAME, read_log
from dream.session import Session
from dream.worker.inprocess import InProcessEngine
from tests.engine.control.test_control import make_controlnet
from tests.random_layouts import make_layout


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("log")
    pipe = make_layout("sd1")
    pipe.save_pretrained(folder / "models" / "sd1")
    for seed, name in enumerate(("canny", "tile")):
        make_controlnet(pipe.unet, seed).save_pretrained(folder / "models" / "controlnet" / name)
    image = Image.new("RGB", (96, 64), "teal")
    ImageDraw.Draw(image).ellipse((20, 10, 60, 50), fill="white")
    image.save(folder / "a:1.png")
    registry = ModelRegistry([folder / "models"])
    base = Request(model="sd1", outdir=str(folder / "out"), width=64, height=64, steps=3)
    return Session(InProcessEngine(registry), registry, base, rng=random.Random(0))


def make(session: Session, line: str) -> tuple[Saved, list[str]]:
    events: list[Any] = list(session.make(line))
    assert not [event for event in events if isinstance(event, Rejected | Failed)], events
    (saved,) = (event for event in events if isinstance(event, Saved))
    return saved, [event.text for event in events if isinstance(event, Note)]


def test_a_log_line_replays_bit_exactly_and_names_what_has_changed(session: Session) -> None:
    image = session.outdir.parent / "a:1.png"
    line = f'x -S5 --control "canny={image}:0.7" "tile={image}:1:0-0.7" --control_mode control'
    first, _ = make(session, line)
    *_, (_, logged) = read_log(session.outdir / LOG_NAME)
    assert "control_model:" in logged and "control:" in logged
    again, notes = make(session, logged)
    assert again.sha256 == first.sha256
    assert not [note for note in notes if "changed" in note]
    assert make(session, "x -S5")[0].sha256 != first.sha256

    pipe = make_layout("sd1")
    folder = session.registry.models_dirs[0] / "controlnet" / "tile"
    make_controlnet(pipe.unet, 9).save_pretrained(folder)
    Image.new("RGB", (96, 64), "red").save(image)
    changed, notes = make(session, logged)
    assert changed.sha256 != first.sha256
    named = " ".join(note for note in notes if "has changed" in note)
    assert str(image) in named and "the control model tile has changed" in named
    assert "the control model canny" not in named
