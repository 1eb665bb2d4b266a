"""Folders that another library has quantized, read through it. What is said without the library is
in `test_number_formats`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from diffusers import DDIMScheduler

from dream.catalogue import ModelRegistry
from dream.engine import create_generator
from dream.engine.interface import DeviceConfig
from tests.random_families import make_pixart
from tests.recipes import recipe
from tests.split_files import move_weights

PARTS = ("transformer", "text_encoder")


def make_folder(folder: Path, **config: Any) -> Any:
    """A PixArt whose denoiser and text encoder were quantized with SDNQ, and diffusers' own
    pipeline over the folder."""
    sdnq = pytest.importorskip("sdnq", reason="an optional library")
    from diffusers import PixArtSigmaPipeline

    torch.manual_seed(0)
    made = make_pixart(layers=2)
    made.save_pretrained(folder)
    for name in PARTS:
        how = sdnq.SDNQConfig(minimum_allowed_numel=1, minimum_allowed_channel_size=1, **config)
        part = type(getattr(made, name)).from_pretrained(folder / name, quantization_config=how)
        for file in (folder / name).glob("*.safetensors"):
            file.unlink()
        part.save_pretrained(folder / name)
    return PixArtSigmaPipeline.from_pretrained(folder, local_files_only=True)


def paint(pipe: Any) -> Any:
    """Pixels of diffusers' own pipeline, without dream's samplers."""
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = DDIMScheduler()
    pipe.vae.to(memory_format=torch.channels_last)  # as dream has it on a CPU
    move_weights(pipe)
    noise = torch.Generator().manual_seed(1)
    size = {"width": 64, "height": 64, "use_resolution_binning": False}
    return pipe(
        "a red circle", num_inference_steps=2, generator=noise, output_type="np", **size
    ).images


@pytest.mark.parametrize("weights", ["int8", "uint4"])
def test_a_folder_of_sdnq_gives_the_pixels_of_the_library(tmp_path: Path, weights: str) -> None:
    plain = make_folder(tmp_path / "random", weights_dtype=weights)
    machine = DeviceConfig(device="cpu", precision="float32")
    generator = create_generator(ModelRegistry([tmp_path]).get_model, machine)
    loaded = generator.load("random", lambda message: None).pipe
    for name in PARTS:
        kinds = {type(layer).__name__ for layer in getattr(loaded, name).modules()}
        assert any(kind.startswith("SDNQ") for kind in kinds), f"{name} was decoded"
    assert numpy.array_equal(paint(loaded), paint(plain))

    def paint_hash(seed: int) -> str:
        return generator.generate(recipe(seed=seed, cfg_scale=1.0), lambda _: None).sha256

    one, same, other = map(paint_hash, (1, 1, 2))
    assert one == same != other
