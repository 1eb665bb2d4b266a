"""Every sampler, with a network that is exact, is what its paper says: from words, from an image,
on every kind of model, along every schedule."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from dream.engine.sampling.schedulers import make_scheduler, solver_of
from dream.engine.sampling.stepping import SigmaScheduler, calls_of
from dream.engine.silence_libraries import silence_libraries
from dream.options.sampler_table import SAMPLERS
from dream.options.schedule_table import AUTO, FORMER, SCHEDULES
from tests.engine.gaussian import (
    CONFIGS,
    REFERENCES,
    SPREAD,
    clean,
    draws,
    exact,
    walked,
)

COUNT = 400
STARTS = (1.0, 0.75, 0.5, 0.2)


def scheduler_of(name: str, kind: str, steps: int, skipped: int = 0, schedule: str = AUTO) -> Any:
    with silence_libraries():
        return make_scheduler(
            name, CONFIGS[kind], steps, torch.float32, schedule=schedule, skipped=skipped
        )


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The greatest distance of a row, in its own standard deviations."""
    return float(((one - other) / SPREAD).pow(2).mean(-1).sqrt().max())


def same_noise(like: torch.Tensor, seed: int = 5) -> Any:
    """What a walk draws from its generator, draw by draw."""
    source = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(like.shape, generator=source).double()


OURS = [name for name in REFERENCES if not SAMPLERS[name].scheduler]


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("name", OURS)
def test_it_is_its_paper_s_from_words_and_from_a_picture(name: str, kind: str) -> None:
    steps = 20
    picture = draws(2, COUNT)
    for strength in STARTS:
        skipped = steps - int(steps * strength)
        scheduler = scheduler_of(name, kind, steps, skipped)
        asked = {"picture": picture} if skipped else {}
        made = walked(scheduler, CONFIGS[kind], steps, draws(1, COUNT), skipped=skipped, **asked)
        along = scheduler._sigmas
        expected = REFERENCES[name](made.start, along, same_noise(made.start))
        if name in ("plms", "dpm_fast"):  # they end above 0, where latents are of variance 1 again
            end = along[-1]
            expected = expected if name == "plms" else expected / math.sqrt(end**2 + 1)
        assert apart(made.x, expected) < 1e-3, (strength, kind)


@pytest.mark.parametrize("schedule", [one for one in SCHEDULES if one not in (AUTO, FORMER)])
@pytest.mark.parametrize("name", ["k_heun", "dpmpp_2m", "unipc", "deis", "ddim"])
def test_it_arrives_along_every_schedule(name: str, schedule: str) -> None:
    """Near what is exact, and within what the list itself leaves."""
    steps = 30
    scheduler = scheduler_of(name, "v", steps, schedule=schedule)
    made = walked(scheduler, CONFIGS["v"], steps, draws(1, COUNT))
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
    for steps in (1, 2, 7, 20):
        sigmas = [14.0 * 0.7**step for step in range(steps)] + [0.0]
        levels = scheduler_of("k_euler", "v", 5)._levels
        calls = len(calls_of(solver_of(row, levels), sigmas))
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
        walk = solver_of(SAMPLERS[name])(start, sigmas, lambda: torch.zeros(1))
        x, sigma = next(walk)
        try:
            while True:
                x, sigma = walk.send((x, clean(x, sigma)))
        except StopIteration as end:
            return float((end.value - exact(start, 8.0, 0.5)).abs().max())

    found = math.log2(error(40) / error(80))
    assert found > order - 0.45, found


@pytest.mark.parametrize("name", ["k_euler", "k_heun", "k_dpm_2", "k_lms", "dpmpp_2m", "unipc"])
def test_what_a_mask_keeps_is_as_noisy_as_the_rest(name: str) -> None:
    steps, skipped = 15, 5
    scheduler = scheduler_of(name, "epsilon", steps, skipped)
    picture, mask = draws(2, COUNT), torch.ones(1, 6, COUNT)
    mask[..., : COUNT // 2] = 0
    spreads: list[float] = []
    scale = scheduler.scale_model_input

    def seen(x: torch.Tensor, t: Any) -> torch.Tensor:
        at = scale(x, t)
        spreads.append(float(at[..., : COUNT // 2].std()))
        return at

    scheduler.scale_model_input = seen
    made = walked(
        scheduler,
        CONFIGS["epsilon"],
        steps,
        draws(1, COUNT),
        picture=picture,
        skipped=skipped,
        mask=mask,
    )
    assert len(spreads) == made.calls
    assert max(abs(spread - 1) for spread in spreads) < 0.06


def test_noise_alone_is_walked_by_all_from_its_very_level() -> None:
    for name in SAMPLERS:
        scheduler = scheduler_of(name, "zero snr", 20)
        with silence_libraries():
            scheduler.set_timesteps(20)
        assert float(scheduler.timesteps[0]) == 999, name
        assert float(scheduler.alphas_cumprod[-1]) < 1e-6, name


def test_the_default_sampler_walks_noise_alone_in_any_number_of_steps() -> None:
    for steps in range(5, 80, 5):  # from 21 on two of its sigmas are of one timestep
        scheduler = scheduler_of("dpmpp_2m_karras", "zero snr", steps)
        made = walked(scheduler, CONFIGS["zero snr"], steps, draws(1, 4))
        assert torch.isfinite(made.x).all()


def test_the_shift_of_cogview_is_heard_by_all() -> None:
    config = {**CONFIGS["v"], "snr_shift_scale": 4.0}
    for name in SAMPLERS:
        with silence_libraries():
            scheduler = make_scheduler(name, config, 10, torch.float32)
            plain = make_scheduler(name, CONFIGS["v"], 10, torch.float32)
        assert scheduler.alphas_cumprod[500] < plain.alphas_cumprod[500], name


def test_a_configuration_s_own_choices_do_not_reach_a_row() -> None:
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
        made = [walked(s, CONFIGS["v"], 10, draws(1, 8)).x for s in (one, two)]
        assert torch.equal(*made), name


def test_what_a_class_has_by_default_the_model_has_not_said() -> None:
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
