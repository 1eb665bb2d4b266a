"""A look at latents without a network."""

from __future__ import annotations

from pathlib import Path

import torch

from dream.catalogue.cards import ModelCard, PreviewMap
from dream.engine.preview import look, preview_map
from dream.engine.quiet import quiet
from dream.engine.samplers import clean_estimate, make_scheduler
from dream.samplers import SAMPLERS

RED_GREEN_BLUE = PreviewMap(
    matrix=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)),
    bias=(0.0, 0.0, -1.0),
)


def test_each_latent_becomes_its_colour() -> None:
    latents = torch.zeros(1, 4, 2, 3)
    latents[0, 0, 0, 0] = 1.0  # red, top left
    latents[0, 1, 1, 2] = -9.0  # as little green as there is, bottom right
    preview = look(latents, RED_GREEN_BLUE)
    assert preview is not None
    assert (preview.width, preview.height) == (3, 2)
    assert preview.rgb[:6] == bytes([255, 128, 0, 128, 128, 0])
    assert preview.rgb[-3:] == bytes([128, 0, 0])


def test_latents_of_another_kind_are_not_shown() -> None:
    assert look(torch.zeros(1, 16, 2, 2), RED_GREEN_BLUE) is None


def test_a_models_own_map_goes_before_its_familys() -> None:
    card = ModelCard(name="m", path=Path(), preview=RED_GREEN_BLUE)
    assert preview_map(card) is RED_GREEN_BLUE
    assert preview_map(ModelCard(name="m", path=Path(), family="sd1")) is not None
    assert preview_map(ModelCard(name="m", path=Path(), family="flux")) is None


def test_the_clean_estimate_of_every_sampler_finds_the_picture() -> None:
    """A network that knows the noise: whatever the sampler, the estimate is the clean latents."""
    config = {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
    }
    source = torch.Generator().manual_seed(1)
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=source)
    for name in SAMPLERS:
        for kind in ("epsilon", "v_prediction"):
            with quiet():
                scheduler = make_scheduler(
                    name, {**config, "prediction_type": kind}, 10, torch.float32
                )
                assert clean_estimate(scheduler) is None
                scheduler.set_timesteps(10)
            at = scheduler.timesteps[4]
            level = scheduler.alphas_cumprod[round(float(at))]
            scheduler.network_input = level.sqrt() * clean + (1 - level).sqrt() * noise
            velocity = level.sqrt() * noise - (1 - level).sqrt() * clean
            output = noise if kind == "epsilon" else velocity
            scheduler.last = (scheduler.network_input, output, at)
            estimate = clean_estimate(scheduler)
            assert estimate is not None
            assert torch.allclose(estimate, clean, atol=1e-4), name
