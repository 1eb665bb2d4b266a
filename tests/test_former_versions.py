"""Files written by version 0.1, before names and layout changed, keep their meaning."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry
from dream.config.settings_file import read_settings
from dream.core import events
from dream.core.events import Event
from dream.gallery import read_log, read_record
from dream.line import parse_line, parse_log_line
from tests.fakes import fake_session

FORMER = Path(__file__).parent / "data" / "version-0.1"
IMAGES = sorted((FORMER / "out").glob("*.png"))


def test_json_events_have_the_names_and_keys_they_had() -> None:
    classes = [kind for kind in vars(events).values() if isinstance(kind, type)]
    present = {
        kind.name: {field.name for field in fields(kind)}
        for kind in classes
        if issubclass(kind, Event) and kind is not Event
    }
    for line in (FORMER / "events.jsonl").read_text(encoding="utf-8").splitlines():
        former = json.loads(line)
        name = former.pop("event")
        assert name in present
        assert set(former) <= present[name] | {"column"}, name


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_an_image_tells_how_it_was_made(image: Path) -> None:
    record = read_record(image)
    assert record.request and record.facts.keys() & {"weights", "fix"} and len(record.sha256) == 64
    if "!fix" not in record.line:
        assert parse_line(record.line).seed == record.request["seed"]


def test_every_line_of_the_log_is_read_and_can_be_planned(tmp_path: Path) -> None:
    logged = [line for _, line in read_log(FORMER / "out" / "dream_log.txt")]
    assert len(logged) == len(IMAGES)
    shutil.copytree(FORMER / "out", tmp_path / "out")
    session = fake_session(tmp_path)
    for line in logged:
        parsed = parse_log_line(line)
        if parsed.line.startswith("!fix") or "-I" in parsed.line or "model=other" in parsed.line:
            continue  # these name files and models of their own
        (event,) = session.plan(line)
        assert event.name == "planned", event


def test_settings_and_models_toml(tmp_path: Path) -> None:
    options, base = read_settings([FORMER / "dream.toml"])
    assert (base.model, base.steps, base.sampler, options.preview) == ("tiny", 6, "ddim", "off")
    assert base.upscale is not None and (base.upscale.factor, base.upscale.strength) == (2, 0.75)
    shutil.copy(FORMER / "models.toml", tmp_path)
    shutil.copytree(Path(__file__).parents[1] / "models" / "tiny", tmp_path / "mine")
    registry = ModelRegistry([tmp_path])
    model = registry.get_model("mine")
    assert (model.name, model.steps, model.description) == ("other", 12, "mine")
