"""Well-known models by short names: what is downloaded, where it goes, and what is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dream.catalogue.companions import find_tokenizer, get_text_encoder_kind
from dream.options.known_models import KNOWN_MODELS, find_known
from dream.options.known_parts import KNOWN_PARTS
from dream.options.part_table import TEXT_ENCODERS
from dream.session import Session
from tests.catalogue.hub_stub import Hub, hub_at_home
from tests.commands.test_import import asking, events_of, output_of, refusal
from tests.fakes import fake_session

FILES = {
    name: name.encode() * 9
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "other")
}


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "*")
    return fake_session(tmp_path)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_at_home(Hub("Qwen/Qwen3-4B", FILES)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def test_a_tokenizer_goes_where_models_find_it(session: Session, hub: Hub) -> None:
    note = output_of(session, "!import_model tokenizer-qwen3")
    assert "imported tokenizer-qwen3" in note
    (models,) = session.registry.models_dirs[:1]
    folder = models / "tokenizers" / "qwen3"
    visible = {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}
    assert visible == {name: FILES[name] for name in FILES if name != "other"}
    assert find_tokenizer(get_text_encoder_kind("qwen3"), [models]) == folder
    before = len(hub.requests)
    output_of(session, "!import_model tokenizer-qwen3")
    assert not any("resolve" in path for path in hub.requests[before:]), "it is there"


def test_without_a_network_the_files_to_fetch_are_named(session: Session) -> None:
    session.registry = replace(session.registry, offline=True)
    text = refusal(session, "!import_model tokenizer-t5")
    assert "google-t5/t5-small/tokenizer.json to " in text and "tokenizers/t5" in text


def test_files_go_where_comfyui_has_its_own(session: Session, tmp_path: Path) -> None:
    comfy = tmp_path / "ComfyUI"
    (comfy / "models" / "diffusion_models").mkdir(parents=True)
    session.registry = replace(session.registry, models_dirs=(comfy,), offline=True)
    text = refusal(session, "!import_model z-image-turbo")
    for folder in ("diffusion_models", "text_encoders", "vae", "tokenizers/qwen3"):
        assert f"{comfy}/models/{folder}/" in text


def test_a_large_download_is_started_after_a_yes(session: Session) -> None:
    asked, lines = asking(session, "!import_model z-image-turbo", "y")
    assert "20.7 GB, licence Apache 2.0" in str(asked)
    assert lines == ("!import_model z-image-turbo",)
    assert asking(session, "!import_model z-image-turbo", "")[1] == ()
    assert asking(session, "!import_model tokenizer-t5")[1] == ("!import_model tokenizer-t5",)


def test_known_models_are_listed(session: Session) -> None:
    text = str(events_of(session, "!models --known"))
    for known in (*KNOWN_MODELS, *KNOWN_PARTS):
        assert known.name in text
    assert "takes --known" in refusal(session, "!models x")


def test_the_table_is_consistent() -> None:
    rows = (*KNOWN_MODELS, *KNOWN_PARTS)
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.size and bool(row.hub) != bool(row.files) for row in rows)
    assert find_known("Z-Image-Turbo") is not None and find_known("x") is None
    for kind in TEXT_ENCODERS:
        named = f"tokenizer-{kind.tokenizer_of or kind.key}"
        assert not kind.tokenizer or find_known(named) is not None
