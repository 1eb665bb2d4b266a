from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dream.commands import COMMANDS, Context, TextOutput, run_line
from dream.core.events import Note, Rejected
from dream.session import Session
from tests.fakes import fake_registry, fake_session


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    session = fake_session(tmp_path)
    card_file = session.registry.get_model(session.registry.get_default_model()).path / "card.toml"
    text = card_file.read_text("utf-8") if card_file.exists() else ""
    card_file.write_text(f'{text}\n[knows]\nthings = ["cat", "fish"]\ncolours = ["red"]\n', "utf-8")
    return session


def notes(session: Session, line: str) -> list[str]:
    happened = list(session.make(line))
    assert not any(isinstance(event, Rejected) for event in happened)
    return [event.text for event in happened if isinstance(event, Note)]


def test_a_word_is_told_of_once_a_session(session: Session) -> None:
    name = session.registry.get_default_model()
    assert notes(session, "a red dragon -n2") == [
        f"{name} does not know “dragon”; it knows cat, fish …; see !help {name}"
    ]
    assert notes(session, "a dragon and a red cat") == []
    (events,) = notes(session, "a dragon in a castle")
    assert "“castle”" in events
    assert "dragon" not in events


def test_words_of_the_negative_prompt_are_noted_too(session: Session) -> None:
    (inline,) = notes(session, "a (red)1.4 cat.swap(fish) [a griffin]")
    assert "does not know “griffin”;" in inline
    (switch,) = notes(session, 'a red cat --negative "a yeti"')
    assert "does not know “yeti”;" in switch


def test_an_embedding_is_no_word(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "models/embeddings"
    folder.mkdir()
    save_file({"emb_params": torch.zeros(2, 768)}, folder / "ink.safetensors")
    assert notes(session, "a cat, <ink>, (embedding:old/ink.pt)1.2") == []
    (note,) = notes(session, "a cat in inks")
    assert "“inks”" in note


def test_many_words_are_one_note(session: Session) -> None:
    (events,) = notes(session, "one lion, tiger, wolf, bear, eagle, whale, shark, horse, cow")
    assert "“whale” and 3 more; it knows" in events
    assert events.count("“") == 6


def test_a_long_word_is_cut(session: Session) -> None:
    (event,) = notes(session, "dragon" * 2000)
    assert "“dragondragon" in event and "…”;" in event
    assert len(event) < 120


def test_what_is_known_is_not_told_of(session: Session) -> None:
    assert notes(session, "2 red fish, and the cats!") == []


def test_help_lists_what_a_model_knows(session: Session) -> None:
    name = session.registry.get_default_model()
    (page,) = run_line(Context(session, lambda: (), COMMANDS), f"!help {name}")
    assert isinstance(page, TextOutput)
    assert ("  things", "cat, fish") in page.lines
    assert ("  colours", "red") in page.lines


def test_help_of_a_model_that_says_nothing(session: Session, tmp_path: Path) -> None:
    fake_registry(tmp_path / "models", "other")
    (page,) = run_line(Context(session, lambda: (), COMMANDS), "!help other")
    assert isinstance(page, TextOutput)
    assert ("", "it has no list of the words it was trained on") in page.lines
