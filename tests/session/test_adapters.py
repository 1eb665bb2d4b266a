"""LoRAs in lines: checked before anything is loaded, logged, and compared on replay."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dream.catalogue.adapter_files import LORA
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.core.events import Note, Rejected
from dream.core.request import Request, to_dict
from dream.core.request_json import parse_request
from dream.line import format_line, parse_line
from dream.options.lora import LORAS, Lora, format_lora, parse_lora
from dream.session import Session
from dream.session.replay_checks import check_adapters
from tests.fakes import fake_session


def write_lora(path: Path, width: int = 768, **metadata: str) -> Path:
    """A LoRA of one layer, for the family of that width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {
        f"{layer}.lora_down.weight": torch.zeros(2, width),
        f"{layer}.lora_up.weight": torch.zeros(4, 2),
    }
    save_file(tensors, path, metadata)
    return path


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = fake_session(tmp_path)
    write_lora(tmp_path / "models/loras/ink.safetensors")
    write_lora(tmp_path / "models/loras/styles/my ink.safetensors", ss_output_name="trained")
    write_lora(tmp_path / "models/Lora/big.safetensors", 2048)
    return session


@pytest.mark.parametrize(
    ("word", "lora"),
    [
        ("ink", Lora("ink")),
        ("ink:1", Lora("ink")),
        ("ink:0.5", Lora("ink", 0.5)),
        ("ink:.5", Lora("ink", 0.5)),
        ("ink:-1", Lora("ink", -1)),
        ("ink:0.5:0", Lora("ink", 0.5, 0)),
        ("ink:0.5:0.5", Lora("ink", 0.5)),
        ("a:b", Lora("a:b")),
        ("C:\\loras\\ink:2", Lora("C:\\loras\\ink", 2)),
        ("v1:2:3:4", Lora("v1:2", 3, 4)),
    ],
)
def test_a_word_is_a_lora(word: str, lora: Lora) -> None:
    assert parse_lora(word) == lora
    assert parse_lora(format_lora(lora)) == lora


@pytest.mark.parametrize("name", ["a", "a:1", "a:1:2", "a:1:2:3", "a b", "墨:1"])
@pytest.mark.parametrize(("weight", "text"), [(1, None), (0.5, None), (0.5, 0.0), (-2, 1.0)])
def test_what_is_written_is_read(name: str, weight: float, text: float | None) -> None:
    loras = (Lora(name, weight, text), Lora("other"))
    assert LORAS.read(LORAS.write(loras)) == loras
    request = Request(prompt="x", lora=loras)
    assert parse_line(format_line(request)) == request
    assert parse_request(to_dict(request)) == request


@pytest.mark.parametrize("name", ["ink", "INK", "ink.safetensors", "my ink", "trained"])
def test_it_is_found_by_its_names(session: Session, name: str) -> None:
    found = AdapterRegistry.of(session.registry).get(LORA, name)
    assert found.name in ("ink.safetensors", "my ink.safetensors")


def test_two_of_one_name_are_told_apart_by_their_folder(session: Session, tmp_path: Path) -> None:
    write_lora(tmp_path / "models/loras/styles/ink.safetensors")
    found = AdapterRegistry.of(session.registry).find(LORA)
    assert found["ink"].parent.name == "loras"
    assert found["styles/ink"].parent.name == "styles"


@pytest.mark.parametrize(
    ("loras", "message"),
    [
        ("inc", r'there is no LoRA "inc" in .*did you mean ink'),
        ("big", "big is a LoRA for Stable Diffusion XL, but tiny is Stable Diffusion 1"),
        ("broken", "is not a weights file"),
        ("vae", "is a VAE, not a LoRA"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_loaded(
    session: Session, loras: str, message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "models/loras"
    (folder / "broken.safetensors").write_text("nothing of that kind")
    save_file({"decoder.conv_in.weight": torch.zeros(4, 4, 3, 3)}, folder / "vae.safetensors")
    (rejected,) = session.make(f"x --lora ink:0.5 {loras}")
    assert isinstance(rejected, Rejected)
    assert __import__("re").search(message, str(rejected.error))


def test_the_log_keeps_names_and_weights(session: Session) -> None:
    list(session.make('x --lora ink:-0.5:0.25 "my ink"'))
    line = (session.outdir / "dream_log.txt").read_text("utf-8")
    assert '--lora ink:-0.5:0.25 "my ink"' in line


def test_a_changed_lora_is_said_first(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "models/loras/ink.safetensors"
    line = 'out/000001.1.png: "x" -S1 --lora=ink:0.5 # sha256:00 lora:0123456789abcdef'
    recipe = session.resolve(session.parse_line(line), line).recipes[0]
    (note,) = check_adapters(session.registry, line, recipe)
    assert isinstance(note, Note)
    assert "the LoRA ink has changed: the sha256 of" in note.text
    assert str(path) in note.text
    first = next(event for event in session.make(line) if isinstance(event, Note))
    assert first == note


def test_a_missing_lora_is_said_first(session: Session) -> None:
    (rejected,) = session.make('out/000001.1.png: "x" -S1 --lora=gone # sha256:00 lora:01234567')
    assert isinstance(rejected, Rejected)
    assert 'there is no LoRA "gone"' in str(rejected.error)


def test_a_default_is_checked(session: Session) -> None:
    from dream.session.name_checks import find_wrong_defaults

    wrong = Request(lora=(Lora("nothing"),))
    assert any(
        "lora: there is no LoRA" in text for text in find_wrong_defaults(session.registry, wrong)
    )
