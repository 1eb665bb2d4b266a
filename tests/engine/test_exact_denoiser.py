"""Every sampler, with an exact denoiser, equals its paper: from a prompt, from an image,
on every kind of model, along every schedule."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from dream.engine.sampling.schedulers import get_solver, make_scheduler
from dream.engine.sampling.stepping import SigmaScheduler, list_calls
from dream.engine.silence_libraries import silence_libraries
from dream.options.sampler_table import SAMPLERS
from dream.options.schedule_table import AUTO, FORMER, SCHEDULES
from tests.engine.gaussian import (
    CONFIGS,
    MEANS,
    SPREAD,
    clean,
    distance,
    draws,
    exact,
    make,
    run_scheduler,
)
from tests.engine.reference_samplers import REFERENCES, plms, tcd

COUNT = 400
STARTS = (1.0, 0.75, 0.5, 0.2)


def reference_for(name: str, scheduler: Any, skipped: int) -> Any:
    """TCD's is measured in timesteps, so it depends on the noise the model was trained on; PLMS is
    of order 3 from an image."""
    if name == "plms" and skipped:
        return plms(3)
    return tcd(scheduler.alphas_cumprod) if name == "tcd" else REFERENCES[name]


def same_noise(like: torch.Tensor, seed: int = 5) -> Any:
    """What a run draws from its generator, draw by draw."""
    source = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(like.shape, generator=source).double()


OURS = [(name, "uniform" if row.scheduler else AUTO) for name, row in SAMPLERS.items()]
DIFFUSERS = [(name, row.diffusers_schedule) for name, row in SAMPLERS.items() if row.scheduler]


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize(("name", "schedule"), [*OURS, *DIFFUSERS])
def test_it_equals_its_reference_from_a_prompt_and_from_an_image(
    name: str, schedule: str, kind: str
) -> None:
    steps = 20
    for strength in STARTS:
        skipped = steps - int(steps * strength)
        scheduler = make(name, kind, steps, skipped, schedule)
        start = {"image": draws(2, COUNT)} if skipped else {}
        made = run_scheduler(
            scheduler, CONFIGS[kind], steps, draws(1, COUNT), skipped=skipped, **start
        )
        if isinstance(scheduler, SigmaScheduler):
            sigmas = list(scheduler._sigmas)
            assert made.calls == scheduler.calls_made and scheduler.finished
        else:
            sigmas = [*made.sigmas, sigma_at_end(scheduler)]
        expected = reference_for(name, scheduler, skipped)(
            made.start, sigmas, same_noise(made.start)
        )
        if name != "plms":  # whose reference is in latents of variance 1
            expected = expected / math.sqrt(sigmas[-1] ** 2 + 1)
        assert distance(made.x, expected) < 1e-3, (strength, kind)


def sigma_at_end(scheduler: Any) -> float:
    """CompVis' DDIM ends at the cleanest timestep."""
    if scheduler.config.get("set_alpha_to_one", True):
        return 0.0
    level = float(scheduler.alphas_cumprod[0])
    return math.sqrt((1 - level) / level)


@pytest.mark.parametrize("name", ["ddim", "plms", "k_lms", "k_heun", "dpmpp_2m", "dpm_adaptive"])
def test_few_steps_from_pure_noise_stay_within_the_data(name: str) -> None:
    for steps in (1, 4):
        scheduler = make(name, "zero snr", steps)
        made = run_scheduler(scheduler, CONFIGS["zero snr"], steps, draws(1, COUNT))
        assert float((made.x.std(-1) / SPREAD[..., 0])[0, 2:].max()) < 1.4, steps


@pytest.mark.parametrize("strength", [1.0, 0.75])
@pytest.mark.parametrize("name", SAMPLERS)
def test_no_default_schedule_leaves_grain(name: str, strength: float) -> None:
    """The finest detail at 20 steps: k_heun and k_dpm_2 have 1.34 of its due on the model's list,
    k_dpm_2_a would have 2.0 there, k_heun_churn 1.7."""
    skipped = 20 - int(20 * strength)
    scheduler = make(name, "epsilon", 20, skipped)
    start = {"image": (MEANS + SPREAD * draws(2, COUNT)).float()} if skipped else {}
    made = run_scheduler(
        scheduler, CONFIGS["epsilon"], 20, draws(1, COUNT), skipped=skipped, **start
    )
    finest = float(made.x[0, 0].std() / SPREAD[0, 0])
    assert finest < 1.4, finest


@pytest.mark.parametrize("schedule", [one for one in SCHEDULES if one not in (AUTO, FORMER)])
@pytest.mark.parametrize("name", ["k_heun", "dpmpp_2m", "unipc", "deis", "ddim"])
def test_every_schedule_leads_to_the_data(name: str, schedule: str) -> None:
    """Near the exact solution, except for what the list itself leaves."""
    steps = 30
    scheduler = make(name, "v", steps, schedule=schedule)
    made = run_scheduler(scheduler, CONFIGS["v"], steps, draws(1, COUNT))
    if hasattr(scheduler, "_sigmas"):
        assert list(scheduler._sigmas) == sorted(scheduler._sigmas, reverse=True)
        assert len(scheduler._sigmas) == steps + 1
    assert scheduler.timesteps.min() >= 0 and scheduler.timesteps.max() <= 999
    broad = slice(3, None)  # the finest detail is what the last step of some lists gives up
    exactly = exact(made.start, made.sigmas[0])
    far = ((made.x - exactly) / SPREAD)[:, broad].pow(2).mean(-1).sqrt().max()
    assert far < (0.35 if name == "ddim" else 0.2), float(far)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_calls_are_those_that_the_table_states(name: str) -> None:
    row = SAMPLERS[name]
    if row.adaptive:
        return  # its calls depend on the image: see below
    for steps in (1, 2, 7, 20):
        sigmas = [14.0 * 0.7**step for step in range(steps)] + [0.0]
        levels = make("k_euler", "v", 5)._levels
        calls = len(list_calls(get_solver(row, levels), sigmas))
        if row.calls == "n + 1" and steps == 1:
            assert calls == 1
        elif row.name == "restart":
            assert calls >= 2 * steps - 1
        else:
            assert calls == eval(row.calls.replace("2n", "2 * n"), {"n": steps}), steps


@pytest.mark.parametrize("name", [n for n in SAMPLERS if SAMPLERS[n].order.isdecimal()])
def test_it_converges_as_its_order_says(name: str) -> None:
    """Between 40 and 80 steps even in log sigma, on a part of the way without its rough ends."""
    order = int(SAMPLERS[name].order)

    def error(steps: int) -> float:
        sigmas = [8.0 * (0.5 / 8.0) ** (step / steps) for step in range(steps + 1)]
        start = draws(1, 50).double() * 8.0
        run = get_solver(SAMPLERS[name])(start, sigmas, lambda: torch.zeros(1))
        x, sigma = next(run)
        try:
            while True:
                x, sigma = run.send((x, clean(x, sigma)))
        except StopIteration as end:
            return float((end.value - exact(start, 8.0, 0.5)).abs().max())

    found = math.log2(error(40) / error(80))
    assert found > order - 0.45, found


@pytest.mark.parametrize(
    "name", ["k_euler", "k_heun", "k_dpm_2", "k_lms", "dpmpp_2m", "unipc", "dpm_adaptive"]
)
def test_the_kept_area_of_a_mask_is_as_noisy_as_the_rest(name: str) -> None:
    steps, skipped = 15, 5
    scheduler = make(name, "epsilon", steps, skipped)
    image, mask = draws(2, COUNT), torch.ones(1, 6, COUNT)
    mask[..., : COUNT // 2] = 0
    spreads: list[float] = []
    scale = scheduler.scale_model_input

    def seen(x: torch.Tensor, t: Any) -> torch.Tensor:
        at = scale(x, t)
        spreads.append(float(at[..., : COUNT // 2].std()))
        return at

    scheduler.scale_model_input = seen
    made = run_scheduler(
        scheduler,
        CONFIGS["epsilon"],
        steps,
        draws(1, COUNT),
        image=image,
        skipped=skipped,
        mask=mask,
    )
    assert len(spreads) == made.calls
    assert max(abs(spread - 1) for spread in spreads) < 0.06


def test_with_zero_terminal_snr_all_begin_at_pure_noise() -> None:
    for name in SAMPLERS:
        scheduler = make(name, "zero snr", 20)
        with silence_libraries():
            scheduler.set_timesteps(20)
        assert float(scheduler.timesteps[0]) == 999, name
        assert float(scheduler.alphas_cumprod[-1]) < 1e-6, name


def test_the_default_sampler_starts_from_pure_noise_in_any_number_of_steps() -> None:
    for steps in range(5, 80, 5):  # from 21 on two of its sigmas are of one timestep
        scheduler = make("dpmpp_2m_karras", "zero snr", steps)
        made = run_scheduler(scheduler, CONFIGS["zero snr"], steps, draws(1, 4))
        assert torch.isfinite(made.x).all()


def test_all_apply_the_shift_of_cogview() -> None:
    config = {**CONFIGS["v"], "snr_shift_scale": 4.0}
    for name in SAMPLERS:
        with silence_libraries():
            scheduler = make_scheduler(name, config, 10, torch.float32)
            plain = make_scheduler(name, CONFIGS["v"], 10, torch.float32)
        assert scheduler.alphas_cumprod[500] < plain.alphas_cumprod[500], name


def test_a_model_s_configuration_does_not_change_a_row() -> None:
    odd = {
        **CONFIGS["v"],
        "algorithm_type": "sde-dpmsolver++",
        "solver_order": 3,
        "solver_type": "bh1",
        "use_beta_sigmas": True,
        "euler_at_final": True,
        "thresholding": True,
    }
    for name in SAMPLERS:
        with silence_libraries():
            one = make_scheduler(name, {**odd, "solver_type": "midpoint"}, 10, torch.float32)
            two = make_scheduler(name, CONFIGS["v"], 10, torch.float32)
        made = [run_scheduler(s, CONFIGS["v"], 10, draws(1, 8)).x for s in (one, two)]
        assert torch.equal(*made), name


def test_a_default_of_a_scheduler_class_is_not_the_model_s_value() -> None:
    """A card's `prediction` stands where the model's own file has none."""
    from diffusers import PNDMScheduler

    own = PNDMScheduler.from_config({**CONFIGS["epsilon"], "skip_prk_steps": True})
    own = PNDMScheduler.from_config({k: v for k, v in own.config.items() if "prediction" not in k})
    own.register_to_config(prediction_type="v_prediction")
    for name in SAMPLERS:
        with silence_libraries():
            made = make_scheduler(name, own.config, 10, torch.float32)
        assert made.config.prediction_type == "v_prediction", name
    assert isinstance(make_scheduler("k_euler", own.config, 5, torch.float32), SigmaScheduler)
