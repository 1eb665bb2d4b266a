from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MakeModel = Callable[..., Path]


@pytest.fixture
def make_model() -> MakeModel:
    """Writes the files of a model that the registry reads: its configuration, no weights."""

    def make(
        folder: Path,
        pipeline: str = "StableDiffusionPipeline",
        unet: dict[str, Any] | None = None,
        vae: dict[str, Any] | None = None,
        card: str = "",
    ) -> Path:
        files = {
            "model_index.json": {"_class_name": pipeline},
            "unet/config.json": {"sample_size": 64, "cross_attention_dim": 768} | (unet or {}),
            "vae/config.json": {"block_out_channels": [128, 256, 512, 512]} | (vae or {}),
        }
        for name, table in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(table), "utf-8")
        if card:
            (folder / "card.toml").write_text(card, "utf-8")
        return folder

    return make
