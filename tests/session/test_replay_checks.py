"""Logs that mix models and VAEs, made again: each line with its own."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry
from dream.core.events import Event, Note, Rejected, Saved, Step
from dream.line import parse_log_line
from dream.options.option_type import Upscale
from dream.session.replay_checks import check_adapters
from tests.catalogue.test_detect import VAE, write
from tests.fakes import FakeEngine, fake_session
from tests.recipes import recipe

ROOT = Path(__file__).resolve().parents[2]
LINE = 'a.png: "a cat" -s3 -S1 -W64 -H64 -C7.5 -Addim --model=large'


def test_a_line_may_name_another_model_and_the_session_keeps_its_own(tmp_path: Path) -> None:
    engine = FakeEngine()
    session = fake_session(tmp_path, engine, "tiny", "large")
    made: list[Event] = []
    for line in ("a cat", "a cat --model=large", "a cat"):
        made += session.make(line)
    lines = [event.line for event in made if isinstance(event, Saved)]
    assert [line.partition("--model=")[2] for line in lines] == ["tiny", "large", "tiny"]
    engine.rendered.clear()
    session.base = replace(session.base, model="large")
    list(session.replay(session.outdir / "dream_log.txt"))
    assert [recipe.model for recipe in engine.rendered] == ["tiny", "large", "tiny"]


@pytest.mark.parametrize(("weights", "same"), [("c0ffee", True), ("deadbeef", False)])
def test_other_weights_are_said_before_the_picture(
    tmp_path: Path, weights: str, same: bool
) -> None:
    session = fake_session(tmp_path, FakeEngine(), "tiny", "large")
    events = list(session.make(f"{LINE} # sha256:0123 weights:{weights}"))
    places = [n for n, event in enumerate(events) if "has changed" in str(event)]
    assert bool(places) is not same
    assert all(place < [isinstance(e, Step) for e in events].index(True) for place in places)
    assert any(isinstance(event, Saved) for event in events)


def test_the_model_of_a_logged_line_is_loaded_for_what_is_rendered_with_it(tmp_path: Path) -> None:
    engine = FakeEngine()
    session = fake_session(tmp_path, engine, "tiny", "large")
    list(session.make(f"{LINE} # sha256:0123 weights:c0ffee"))
    assert engine.expected == engine.rendered != []


def test_a_model_that_is_gone_is_said_and_nothing_is_rendered(tmp_path: Path) -> None:
    engine = FakeEngine()
    (refused,) = fake_session(tmp_path, engine).make(f"{LINE} # weights:c0ffee")
    assert isinstance(refused, Rejected) and 'there is no model "large"' in str(refused.error)
    assert engine.rendered == []


def test_the_vae_is_the_line_s_the_session_s_the_card_s_or_none(tmp_path: Path) -> None:
    engine = FakeEngine()
    session = fake_session(tmp_path, engine, "tiny", "large")
    card_file = tmp_path / "models" / "large" / "card.toml"
    card_file.write_text(card_file.read_text() + 'vae = "soft"\n')
    (tmp_path / "models" / "VAE").mkdir()
    for name in ("sharp", "soft", "other"):
        write(tmp_path / "models" / "VAE" / f"{name}.safetensors", VAE)
    lines = ["x", "x --vae=sharp", "x --model=large", "x --model=large --vae=none"]
    made: list[Event] = []
    for line in lines:
        made += session.make(line)
    assert [recipe.vae for recipe in engine.rendered] == [None, "sharp", "soft", "none"]
    before = list(engine.rendered)
    # A log is older than whatever the session or a card has come to say since.
    session.base = replace(session.base, vae="other")
    (tmp_path / "models" / "tiny" / "card.toml").write_text('width = 64\nheight = 64\nvae = "x"\n')
    engine.rendered.clear()
    for line in [event for event in made if isinstance(event, Saved)]:
        list(session.make(f"{line.path.name}: {parse_log_line(line.line).line}"))
    assert [recipe.vae for recipe in engine.rendered] == ["none", "sharp", "soft", "none"]
    assert [replace(r, vae=None) for r in engine.rendered] == [replace(r, vae=None) for r in before]


@pytest.mark.parametrize(
    ("named", "used"), [("large", "large"), ("former", "large"), ("waifu", "tiny")]
)
def test_the_model_that_a_log_of_invokeai_names(tmp_path: Path, named: str, used: str) -> None:
    engine = FakeEngine()
    session = fake_session(tmp_path, engine, "tiny", "large")
    (tmp_path / "models" / "models.toml").write_text('[models.large]\nformerly = ["former"]\n')
    log = tmp_path / "log.txt"
    log.write_text(f"o/1.42.png: sushi -s 20 -S 42 -A k_lms # model_id={named}\n")
    events = list(session.replay(log))
    assert [recipe.model for recipe in engine.rendered] == [used]
    notes = [e.text for e in events if isinstance(e, Note) and "the log names" in e.text]
    assert len(notes) == (named == "waifu")
    assert all('"waifu", which was not found; using tiny' in note for note in notes)


def test_only_a_logged_line_names_its_model_in_a_comment(tmp_path: Path) -> None:
    engine = FakeEngine()
    session = fake_session(tmp_path, engine, "tiny", "large")
    list(session.make("sushi -s 20 # model_id=large"))
    list(session.make("o/1.42.png: sushi -S 42 --model=tiny # model_id=large"))
    assert [recipe.model for recipe in engine.rendered] == ["tiny", "tiny"]


@pytest.mark.parametrize(
    ("name", "comment", "said"),
    [
        ("net", "upscaler_weights:{now}", ""),
        ("net", "upscaler_weights:deadbeef", "net has changed"),
        ("net", "", ""),
        ("tiny-x4", "", "the log has no hash of tiny-x4, which has been trained again since"),
        ("realesr-general-x4v3", "upscaler_weights:deadbeef", ""),  # not here yet
    ],
)
def test_other_weights_of_an_upscaler_are_said(
    tmp_path: Path, name: str, comment: str, said: str
) -> None:
    (tmp_path / "upscalers").mkdir()
    weights = (ROOT / "models" / "tiny-x4" / "tiny-x4.pth").read_bytes()
    for file in ("net.pth", "tiny-x4.pth"):
        (tmp_path / "upscalers" / file).write_bytes(weights)
    asked = recipe(upscale=Upscale(2), upscaler=name)
    now = hashlib.sha256(weights).hexdigest()[:8]
    line = f'a.png: "a cat" -U2 # sha256:0123 {comment.format(now=now)}'
    notes = list(check_adapters(ModelRegistry([tmp_path]), line, asked))
    assert bool(notes) is bool(said) and said in "".join(map(str, notes))
    assert not list(check_adapters(ModelRegistry([tmp_path]), '"a cat" -U2', asked))


def test_another_text_encoder_of_the_same_name_is_said(tmp_path: Path) -> None:
    (tmp_path / "text_encoders").mkdir()
    (tmp_path / "text_encoders" / "words.safetensors").write_bytes(b"some weights")
    now = hashlib.sha256(b"some weights").hexdigest()[:8]
    asked = recipe(text_encoder="words")
    for was, said in ((now, ""), ("deadbeef", "the text encoder words has changed"), ("", "")):
        comment = f"sha256:0123 text_encoder_weights:{was}" if was else "sha256:0123"
        line = f'a.png: "a cat" --text_encoder=words # {comment}'
        notes = list(check_adapters(ModelRegistry([tmp_path]), line, asked))
        assert bool(notes) is bool(said) and said in "".join(map(str, notes))
