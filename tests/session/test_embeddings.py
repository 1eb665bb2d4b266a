"""Which embeddings a line uses, the settings of few-step LoRAs, and what the log keeps of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dream.catalogue.few_step import find_few_step_settings
from dream.core.events import Note, Rejected
from dream.session import Session
from tests.fakes import fake_session
from tests.session.test_adapters import write_lora


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = fake_session(tmp_path)
    folder = tmp_path / "models/embeddings"
    folder.mkdir()
    save_file({"emb_params": torch.zeros(2, 768)}, folder / "ink.safetensors")
    save_file({"emb_params": torch.zeros(2, 1024)}, folder / "other.safetensors")
    for name in ("lcm-lora-sdv1-5", "Hyper-SD15-2steps-lora"):
        write_lora(tmp_path / f"models/loras/{name}.safetensors")
    return session


def resolved(session: Session, line: str) -> Any:
    return session.resolve(session.parse_line(line), line)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("a cat in ink", ("ink",)),
        ("a cat in <ink>", ("ink",)),
        ("a cat --negative=embedding:ink", ("ink",)),
        ("a cat in pink", None),
        ("a cat in ink --embedding", None),
        ("a cat --embedding ink", ("ink",)),
        ("a cat in ink --syntax plain", None),
        ("a cat in ink --syntax plain --embedding ink", ("ink",)),
    ],
)
def test_names_in_the_prompt_are_used(
    session: Session, line: str, names: tuple[str, ...] | None
) -> None:
    assert resolved(session, line).recipes[0].embedding == names


def test_one_for_another_family_is_ignored_and_said(session: Session) -> None:
    found = resolved(session, "ink and other")
    assert found.recipes[0].embedding == ("ink",)
    assert found.notes == ("the embedding other is for Stable Diffusion 2; ignored with tiny",)


def test_an_embedding_that_is_named_but_not_there_is_said(session: Session) -> None:
    found = resolved(session, "embedding:inc, (embedding:ink.pt:1.2) [embedding:sub/ink]")
    assert found.recipes[0].embedding == ("ink",)
    (note,) = found.notes
    assert note.startswith("there is no embedding inc; its name is read as words")
    assert "did you mean ink?" in note
    assert not resolved(session, "embedding:inc --embedding").notes


def test_a_log_line_uses_what_it_names(session: Session, tmp_path: Path) -> None:
    """A file that came later changes nothing."""
    list(session.make("a cat in ink -S1"))
    list(session.make("a cat in oil -S1"))
    (tmp_path / "models/embeddings/oil.pt").write_bytes(
        (tmp_path / "models/embeddings/ink.safetensors").read_bytes()
    )
    first, second = (session.outdir / "dream_log.txt").read_text("utf-8").splitlines()
    assert "--embedding=ink" in first
    assert resolved(session, first).recipes[0].embedding == ("ink",)
    assert resolved(session, second).recipes[0].embedding is None
    assert resolved(session, "a cat in oil").recipes[0].embedding == ("oil",)


def test_an_unknown_one_is_said(session: Session) -> None:
    (rejected,) = session.make("x --embedding inc")
    assert isinstance(rejected, Rejected)
    assert 'there is no embedding "inc"' in str(rejected.error)
    assert "did you mean ink?" in str(rejected.error)


@pytest.mark.parametrize(
    ("line", "steps", "cfg", "sampler", "note"),
    [
        ("x --lora lcm-lora-sdv1-5", 4, 1, "lcm", "using -s4 -C1 -Alcm"),
        ("x --lora lcm-lora-sdv1-5 -s6", 6, 1, "lcm", "using -C1 -Alcm"),
        ("x --lora lcm-lora-sdv1-5 -s6 -C2 -A k_euler", 6, 2, "k_euler", ""),
        ("x --lora lcm-lora-sdv1-5:0", 3, 7.5, "dpmpp_2m_karras", ""),
        (
            "x --lora Hyper-SD15-2steps-lora",
            *(2, 1, "tcd", "using -s2 -C1 -Atcd --schedule=sgm_uniform"),
        ),
    ],
)
def test_a_few_step_lora_sets_what_the_line_leaves_open(
    session: Session, line: str, steps: int, cfg: float, sampler: str, note: str
) -> None:
    found = resolved(session, line)
    recipe = found.recipes[0]
    assert (recipe.steps, recipe.cfg_scale, recipe.sampler) == (steps, cfg, sampler)
    assert len(found.notes) == bool(note)
    assert all(text.endswith(note) for text in found.notes)
    if "Hyper" in line:
        assert recipe.schedule == "sgm_uniform"


def test_the_note_is_shown_and_the_log_has_the_values(session: Session) -> None:
    events = list(session.make("x --lora lcm-lora-sdv1-5"))
    assert any(isinstance(event, Note) and "few-step LoRA" in event.text for event in events)
    line = (session.outdir / "dream_log.txt").read_text("utf-8")
    assert " -s4 " in line
    assert "-C1 -Alcm" in line


@pytest.mark.parametrize(
    ("name", "called", "steps"),
    [
        ("lcm-lora-sdxl", "LCM-LoRA", 4),
        ("pytorch_lora_weights_lcm", "LCM-LoRA", 4),
        ("sdxl_lightning_8step_lora", "SDXL-Lightning", 8),
        ("Hyper-SDXL-12steps-CFG-lora", "Hyper-SD", 12),
        ("Hyper-SDXL-1step-lora", "Hyper-SD", 1),
        ("Hyper-FLUX.1-dev-16steps-lora", "Hyper-FLUX", 16),
        ("dmd2_sdxl_4step_lora_fp16", "DMD2", 4),
        ("sd_xl_turbo_lora_v1", "SDXL-Turbo", 4),
        ("FLUX.1-Turbo-Alpha", "FLUX Turbo", 8),
        ("Qwen-Image-Lightning-4steps-V1.0", "Qwen-Image-Lightning", 4),
    ],
)
def test_published_names_are_known(name: str, called: str, steps: int) -> None:
    found = find_few_step_settings(name)
    assert found is not None
    assert (found.called, found.steps) == (called, steps)


@pytest.mark.parametrize("name", ["ink", "lightning strike", "turbofan", "film", "hyperrealism"])
def test_other_names_are_not(name: str) -> None:
    assert find_few_step_settings(name) is None
