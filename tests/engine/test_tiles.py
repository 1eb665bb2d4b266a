"""The VAE in tiles where an image would not fit: told, noted, and the same again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from diffusers import (
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
)

from dream.catalogue import ModelRegistry
from dream.engine import create_generator
from dream.engine.memory import low_memory as memory
from dream.engine.memory.vae_tiling import FIXED_OVERHEAD, estimate_decode_peak
from tests.recipes import recipe

LARGE = {"width": 128, "height": 96, "steps": 1}


def test_a_picture_that_does_not_fit_is_decoded_in_tiles(
    random_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = create_generator(ModelRegistry([random_models]).get_model)
    whole = generator.generate(recipe(**LARGE), lambda reported: None)
    pipe = generator.load("random", lambda reported: None).pipe
    vae, need = pipe.vae, estimate_decode_peak(pipe, "cpu", 128, 96)
    monkeypatch.setattr(memory, "measure_free_memory", lambda device: need - 1)
    reported: list[Any] = []
    tiled, again = (generator.generate(recipe(**LARGE), reported.append) for _ in range(2))
    assert not vae.use_tiling, "it is as it was"
    assert [t.text for t in reported if "tiles" in getattr(t, "text", "")] == 2 * [
        "decoding 128x96 pixels needs 0.2 GiB, but 0.2 GiB are free; the VAE decodes in tiles"
    ]
    assert tiled.facts["memory"] == "VAE in tiles"
    assert "memory" not in whole.facts
    assert again.sha256 == tiled.sha256 != whole.sha256
    small = generator.generate(recipe(width=64, height=64, steps=1), reported.append)
    assert "memory" not in small.facts, "one tile is the whole picture"


def test_what_a_decode_takes(random_models: Path) -> None:
    """Stable Diffusion 1.5's, as it was measured: 416 MiB for 512x512, 568 for 768x512."""

    class Vae:
        class config:
            block_out_channels = (128, 256, 512, 512)
            force_upcast = True

        class dtype:
            itemsize = 2

    class Pipe:
        vae = Vae

    class Upcasting(Pipe):
        def upcast_vae(self) -> None: ...

    for width, height, measured in ((256, 256, 168), (512, 512, 416), (768, 512, 568)):
        estimate = estimate_decode_peak(Pipe, "cpu", width, height) / 2**20
        assert measured <= estimate <= 1.5 * measured
    assert (
        estimate_decode_peak(Pipe, "cuda:0", 512, 512)
        > estimate_decode_peak(Pipe, "cpu", 512, 512)
        > FIXED_OVERHEAD
    )
    assert estimate_decode_peak(Upcasting, "cpu", 1024, 1024) > 2.5 * 2**30
    assert estimate_decode_peak(Pipe, "cpu", 1024, 1024) < 1.6 * 2**30
    Vae.config.force_upcast = False
    assert estimate_decode_peak(Upcasting, "cpu", 1024, 1024) < 1.6 * 2**30


def test_who_decodes_in_float32_is_known_by_its_pipeline() -> None:
    for kind in (StableDiffusionPipeline, StableDiffusionInpaintPipeline):
        assert not hasattr(kind, "upcast_vae"), "Stable Diffusion 1 and 2 do not"
    for kind in (StableDiffusionXLPipeline, StableDiffusionXLImg2ImgPipeline):
        assert hasattr(kind, "upcast_vae")
