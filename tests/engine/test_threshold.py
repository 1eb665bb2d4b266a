"""--threshold and --karras_max: what a scheduler does otherwise than its row says."""

from __future__ import annotations

import pytest
import torch

from dream.core.errors import ModelError
from dream.engine.image_generator import ImageGenerator
from dream.engine.sampling.schedulers import make_scheduler, predict_x0
from dream.engine.silence_libraries import silence_libraries
from dream.options.sampler_table import SAMPLERS
from dream.options.schedule_table import AUTO, resolve_schedule
from tests.recipes import recipe

_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("sampler", ["ddim", "k_euler", "dpmpp_2m_karras"])
def test_what_latents_clear_up_to_is_clamped(sampler: str, prediction: str) -> None:
    config = {**_BETAS, "prediction_type": prediction}
    x, output = 3 * torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    clean, stepped = {}, {}
    for threshold in (0.0, 1000.0, 1.5):
        with silence_libraries():
            scheduler = make_scheduler(sampler, config, 10, torch.float32, threshold=threshold)
            scheduler.set_timesteps(10)
            at = scheduler.timesteps[3]
            scheduler.scale_model_input(x, at)
            stepped[threshold] = scheduler.step(output, at, x, return_dict=False)[0]
        clean[threshold] = predict_x0(scheduler)
    free, bounded = clean[0.0], clean[1.5]
    assert free is not None and bounded is not None
    assert torch.equal(stepped[0.0], stepped[1000.0]), "what is within it is not touched"
    assert torch.allclose(bounded, free.clamp(-1.5, 1.5), atol=1e-3)
    assert not torch.equal(stepped[0.0], stepped[1.5])


@pytest.mark.parametrize("sampler", ["k_heun", "plms", "lcm", "unipc"])
def test_every_kind_of_sampler_takes_it(generator: ImageGenerator, sampler: str) -> None:
    def sha256(**changes: object) -> str:
        return generator.generate(recipe(sampler=sampler, **changes), lambda reported: None).sha256

    assert sha256(threshold=1000.0) == sha256() != sha256(threshold=0.3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_karras_sigmas_below_so_many_steps(sampler: str) -> None:
    own = SAMPLERS[sampler].schedule
    takes = sampler.startswith("k_")
    assert resolve_schedule(sampler, None, 9, 10) == ("karras" if takes else own)
    assert resolve_schedule(sampler, AUTO, 10, 10) == own
    assert resolve_schedule(sampler, "beta", 9, 10) == "beta", "what is asked for goes before it"


def test_a_model_with_a_scheduler_of_its_own_refuses_a_threshold(generator: ImageGenerator) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler

    pipe = generator.load("random", lambda reported: None).pipe
    own = pipe.scheduler
    try:
        pipe.scheduler = FlowMatchEulerDiscreteScheduler()
        with pytest.raises(ModelError, match="--threshold"):
            generator.generate(recipe(threshold=2.0), lambda reported: None)
    finally:
        pipe.scheduler = own
