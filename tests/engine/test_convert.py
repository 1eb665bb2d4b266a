"""A single file as a folder: the same pixels, in the same dtype, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from tests import single_files
from tests.random_layouts import make_layout
from tests.recipes import recipe


def test_the_folder_paints_what_the_file_painted(tmp_path: Path) -> None:
    weights = single_files.original(make_layout("sd1"))
    save_file({k: t.half().contiguous() for k, t in weights.items()}, tmp_path / "v1.safetensors")
    generator = create_generator(ModelRegistry([tmp_path]).get_model)
    generator.convert("v1", tmp_path / "v1-diffusers", lambda _: None)
    file, folder = (
        generator.generate(recipe(model=model), lambda _: None) for model in ("v1", "v1-diffusers")
    )
    assert file.sha256 == folder.sha256
    config = json.loads((tmp_path / "v1-diffusers" / "unet" / "config.json").read_text())
    assert config["in_channels"] == 4
    unet = next((tmp_path / "v1-diffusers" / "unet").glob("*.safetensors"))
    assert {tensor.dtype for tensor in load_file(unet).values()} == {torch.float16}
    (tmp_path / "taken").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        generator.convert("v1", tmp_path / "taken" / "x", lambda _: None)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "no litter"
