"""!loras, !embeddings and !hypernets list what is there, and for which models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dream.catalogue.detect.lora_family import describe_family
from dream.commands import COMMANDS, Context, TextOutput, run_line
from tests.fakes import fake_session
from tests.session.test_adapters import write_lora


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(fake_session(tmp_path), list, COMMANDS)


def listed(context: Context, line: str) -> list[object]:
    (event,) = run_line(context, line)
    assert isinstance(event, TextOutput), event
    return list(event.lines)


@pytest.mark.parametrize("command", ["!loras", "!embeddings", "!hypernets"])
def test_an_empty_list_says_where_to_put_files(context: Context, command: str) -> None:
    (line,) = listed(context, command)
    assert "put files into" in str(line)
    (line,) = listed(context, f"{command} ink")
    assert "“ink”" in str(line)


def test_loras_that_fit_come_first_with_their_facts(context: Context, tmp_path: Path) -> None:
    folder = tmp_path / "models/loras"
    write_lora(folder / "zebra.safetensors", ss_tag_frequency='{"a": {"stripes": 9, "zoo": 2}}')
    write_lora(folder / "big.safetensors", 2048)
    (folder / "broken.safetensors").write_bytes(b"x" * 99)
    fitting, title, other, problem = listed(context, "!loras")
    assert fitting[0] == "  zebra" and "Stable Diffusion 1" in fitting[1]  # type: ignore[index]
    assert "rank 2" in fitting[1] and "stripes" in fitting[1]  # type: ignore[index]
    assert title == "for other models:" and describe_family("sdxl") in str(other)
    assert "broken.safetensors" in str(problem)
    assert listed(context, "!loras zeb")[0] == fitting


def test_embeddings_and_hypernetworks(context: Context, tmp_path: Path) -> None:
    for folder in ("embeddings", "hypernetworks"):
        (tmp_path / "models" / folder).mkdir()
    save_file({"emb_params": torch.zeros(3, 768)}, tmp_path / "models/embeddings/ink.safetensors")
    (tmp_path / "models/hypernetworks/anime.pt").write_bytes(b"x" * 2048)
    ((name, facts),) = listed(context, "!embeddings")  # type: ignore[misc]
    assert name == "  ink" and "3 vectors" in facts
    assert listed(context, "!hypernets an")[0][0] == "  anime"  # type: ignore[index]
