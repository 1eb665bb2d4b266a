"""Samplers of the table on flow matching, with a denoiser that is exact."""

from __future__ import annotations

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from dream.engine.sampling.schedulers import is_flow_matching, make_flow_scheduler
from dream.options.sampler_table import SAMPLERS
from tests.engine.gaussian import MEANS, SPREAD, VARIANCES, draws

FLOWING = [name for name, row in SAMPLERS.items() if row.flow]
OWN = FlowMatchEulerDiscreteScheduler(shift=3.0)


def run_scheduler(scheduler: FlowMatchEulerDiscreteScheduler, steps: int) -> torch.Tensor:
    """From noise, asked what an exact network says: noise - x₀."""
    scheduler.set_timesteps(steps)
    x = draws(1, 300)
    for t in scheduler.timesteps:
        share = min(float(t) / 1000, 1 - 1e-9)
        seen = x.double()
        kept = 1 - share
        variance = kept**2 * VARIANCES + share**2
        clean = MEANS + kept * VARIANCES / variance * (seen - kept * MEANS)
        velocity = (seen - clean) / share
        x = scheduler.step(velocity.float(), t, x, return_dict=False)[0]
    return x.double()


def far(x: torch.Tensor) -> float:
    exactly = MEANS + SPREAD * draws(1, 300)
    return float(((x - exactly) / SPREAD).pow(2).mean(-1).sqrt().mean())


def test_euler_is_the_model_s_own() -> None:
    assert is_flow_matching(OWN)
    own = FlowMatchEulerDiscreteScheduler(shift=3.0)
    ours = make_flow_scheduler("k_euler", OWN.config, torch.float32)
    assert float((run_scheduler(own, 12) - run_scheduler(ours, 12)).abs().max()) < 1e-4


@pytest.mark.parametrize("name", FLOWING)
def test_it_arrives_where_the_flow_leads(name: str) -> None:
    coarse, fine = (
        far(run_scheduler(make_flow_scheduler(name, OWN.config, torch.float32), steps))
        for steps in (15, 60)
    )
    assert fine < (0.08 if name == "k_euler" else 0.06), (coarse, fine)
    assert fine < coarse
