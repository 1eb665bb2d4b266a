"""Samplers of the table on flow matching, with a denoiser that is exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from dream.engine.sampling.flow import supports_schedule
from dream.engine.sampling.schedulers import is_flow_matching, make_flow_scheduler
from dream.options.sampler_table import SAMPLERS
from dream.options.schedule_table import AUTO, FORMER, SCHEDULES
from tests.engine.gaussian import MEANS, SPREAD, VARIANCES, draws

NAMES = [name for name, row in SAMPLERS.items() if row.flow]
OWN = FlowMatchEulerDiscreteScheduler(shift=3.0)


def run(scheduler: FlowMatchEulerDiscreteScheduler, steps: int) -> torch.Tensor:
    """From noise, with what an exact network predicts: noise - x₀."""
    scheduler.set_timesteps(steps)
    x = draws(1, 300)
    for t in scheduler.timesteps:
        share = min(float(t) / 1000, 1 - 1e-9)
        seen = x.double()
        signal = 1 - share
        variance = signal**2 * VARIANCES + share**2
        clean = MEANS + signal * VARIANCES / variance * (seen - signal * MEANS)
        velocity = (seen - clean) / share
        x = scheduler.step(velocity.float(), t, x, return_dict=False)[0]
    return x.double()


def measure_error(x: torch.Tensor) -> float:
    exactly = MEANS + SPREAD * draws(1, 300)
    return float(((x - exactly) / SPREAD).pow(2).mean(-1).sqrt().mean())


def test_euler_equals_the_model_s_own_scheduler() -> None:
    assert is_flow_matching(OWN)
    own = FlowMatchEulerDiscreteScheduler(shift=3.0)
    ours = make_flow_scheduler("k_euler", OWN.config, torch.float32)
    assert float((run(own, 12) - run(ours, 12)).abs().max()) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_more_steps_lead_nearer_to_the_exact_solution(name: str) -> None:
    coarse, fine = (
        measure_error(run(make_flow_scheduler(name, OWN.config, torch.float32), steps))
        for steps in (15, 60)
    )
    assert fine < (0.08 if name == "k_euler" else 0.06), (coarse, fine)
    assert fine < coarse


SHIFTED = 3 * np.arange(1, 1001) / 1000 / (1 + 2 * np.arange(1, 1001) / 1000)
"""By timestep, as in ComfyUI's ModelSamplingDiscreteFlow with a shift of 3."""
LISTS = {
    "simple": SHIFTED[[-(1 + int(k * 1000 / 8)) for k in range(8)]],
    "karras": (1 + np.linspace(0, 1, 8) * (SHIFTED[0] ** (1 / 7) - 1)) ** 7,
    "exponential": np.exp(np.linspace(0, np.log(SHIFTED[0]), 8)),
    "sgm_uniform": 3 * np.linspace(1, 0.001, 9)[:-1] / (1 + 2 * np.linspace(1, 0.001, 9)[:-1]),
}


@pytest.mark.parametrize("schedule", LISTS)
def test_a_schedule_has_the_sigmas_of_comfyui(schedule: str) -> None:
    scheduler = make_flow_scheduler("k_euler", OWN.config, torch.float32, schedule=schedule)
    scheduler.set_timesteps(8)
    assert np.allclose(scheduler.timesteps.numpy() / 1000, LISTS[schedule], rtol=2e-3)
    assert np.allclose(scheduler.sigmas.numpy(), [*LISTS[schedule], 0], rtol=2e-3)


@pytest.mark.parametrize("schedule", [one for one in SCHEDULES if supports_schedule(one)])
@pytest.mark.parametrize("name", ["k_euler", "k_heun", "dpmpp_2m", "unipc"])
def test_every_schedule_leads_to_the_data(name: str, schedule: str) -> None:
    made = make_flow_scheduler(name, OWN.config, torch.float32, schedule=schedule)
    assert measure_error(run(made, 40)) < (0.16 if name == "k_euler" else 0.13)
    again = make_flow_scheduler(name, OWN.config, torch.float32, schedule=schedule, skipped=20)
    again.set_timesteps(40)
    calls = len(again.timesteps) - 20
    assert calls == (39 if name == "k_heun" else 20), "the second half of the list"


def test_only_these_schedules_are_not_supported() -> None:
    rest = {one for one in SCHEDULES if not supports_schedule(one)}
    assert rest == {AUTO, FORMER, "align_your_steps"}


def test_a_shift_that_depends_on_the_size_is_in_every_schedule() -> None:
    own = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.1)
    for schedule in ("model", "simple", "beta"):
        small, large = (
            make_flow_scheduler("k_euler", own.config, torch.float32, schedule=schedule)
            for _ in range(2)
        )
        small.set_timesteps(sigmas=np.linspace(1, 0.1, 10), mu=0.5)
        large.set_timesteps(sigmas=np.linspace(1, 0.1, 10), mu=1.15)
        assert (large.sigmas[1:8] > small.sigmas[1:8]).all()
        assert len(large.timesteps) == 10 and large.sigmas[-1] == 0
        assert float(large.sigmas[-2]) >= 0.0999


def test_the_default_schedule_of_a_sampler_is_not_used() -> None:
    """`dpmpp_2m_karras` on a flow-matching model has the model's list, unless another is chosen."""

    def timesteps(name: str, schedule: str) -> torch.Tensor:
        made = make_flow_scheduler(name, OWN.config, torch.float32, schedule=schedule)
        made.set_timesteps(9)
        return made.timesteps

    assert torch.equal(timesteps("dpmpp_2m_karras", "karras"), timesteps("dpmpp_2m", "model"))
    assert torch.equal(timesteps("dpmpp_2m_karras", AUTO), timesteps("dpmpp_2m", AUTO))
    assert not torch.equal(timesteps("dpmpp_2m", "karras"), timesteps("dpmpp_2m", "model"))
