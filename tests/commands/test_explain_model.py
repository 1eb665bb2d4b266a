"""!info MODEL says where each default comes from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dream.commands import COMMANDS, Context, TextOutput, run_line
from dream.core.events import Rejected
from dream.session import Session
from tests.catalogue.test_detect import LABELS, LIGHTNING, XL, write
from tests.fakes import fake_session


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    return fake_session(tmp_path, None, "tiny")


def rows(session: Session, name: str) -> dict[str, str]:
    (page,) = run_line(Context(session, list, COMMANDS), f"!info {name}")
    assert isinstance(page, TextOutput), page
    return {row[0].strip(): row[1] for row in page.lines if isinstance(row, tuple)}


def test_each_default_has_its_origin(session: Session, tmp_path: Path) -> None:
    models = tmp_path / "models"
    turbo = models / "turbo"
    for file, content in {
        "model_index.json": {"_class_name": "StableDiffusionXLPipeline"},
        "unet/config.json": {"sample_size": 64, "cross_attention_dim": 2048},
        "vae/config.json": {"block_out_channels": [8, 8, 8, 8]},
        "scheduler/scheduler_config.json": {"rescale_betas_zero_snr": True},
    }.items():
        (turbo / file).parent.mkdir(parents=True, exist_ok=True)
        (turbo / file).write_text(json.dumps(content), "utf-8")
    (turbo / "card.toml").write_text("height = 640\n", "utf-8")
    (models / "models.toml").write_text("[models.turbo]\nsampler = 'ddim'\n", "utf-8")
    shown = rows(session, "turbo")
    assert shown["width"] == "512, its configuration"
    assert shown["height"] == "640, card.toml"
    assert shown["steps"] == "8, its name (turbo)"
    assert shown["sampler"] == "ddim, models.toml"
    assert shown["cfg_rescale"] == "0.7, its zero terminal SNR"
    assert shown["upscaler"].endswith(", dream's own default")
    assert shown["family"] == "Stable Diffusion XL (sdxl)"
    session.base = replace(session.base, steps=3)
    assert rows(session, "turbo")["steps"] == (
        "3, set for this session, by !set, a launch option or dream.toml (else 8, its name (turbo))"
    )


def test_a_unet_has_its_base(session: Session, tmp_path: Path) -> None:
    models = tmp_path / "models"
    unet = LIGHTNING | {"add_embedding.linear_1.weight": LABELS["label_emb.0.0.weight"]}
    (models / "unet").mkdir()
    write(models / "unet" / "few_lightning_4step.safetensors", unet)
    shown = rows(session, "few_lightning_4step")
    assert shown["lacks"].startswith("its base model (it is a UNet alone): put a whole Stable Diff")
    write(models / "whole.safetensors", XL)
    shown = rows(session, "few_lightning_4step")
    assert Path(shown["base"]).name == "whole.safetensors"
    assert shown["cfg_scale"] == "1, its name (few_lightning_4step)"
    assert shown["width"] == "1024, usual for Stable Diffusion XL"


def test_a_file_that_is_not_a_model_says_what_it_is(session: Session, tmp_path: Path) -> None:
    write(tmp_path / "word.safetensors", {"emb_params": (4, 768)})
    (event,) = run_line(Context(session, list, COMMANDS), "!info word.safetensors")
    assert isinstance(event, Rejected)
    assert "is an embedding, not a model" in str(event.error)
