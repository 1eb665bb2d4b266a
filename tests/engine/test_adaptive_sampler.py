"""DPM-Solver-12/23 with adaptive steps: it ends, near the exact solution, with every schedule."""

from __future__ import annotations

import math

import pytest
import torch

from tests.engine.gaussian import CONFIGS, distance, draws, exact, make, run_scheduler

COUNT = 400


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("schedule", ["karras", "simple", "align_your_steps"])
def test_an_adaptive_sampler_is_near_the_exact_solution_with_every_schedule(
    schedule: str, kind: str
) -> None:
    """Of which it uses the ends only: `simple` at 20 steps has sigma 0.2 before its 0."""
    for steps in (1, 5, 20):
        scheduler = make("dpm_adaptive", kind, steps, schedule=schedule)
        made = run_scheduler(scheduler, CONFIGS[kind], steps, draws(1, COUNT))
        assert 12 < made.calls < 80
        solution = exact(made.start, made.sigmas[0], made.sigmas[-1])
        assert distance(made.x, solution) < 0.2
        assert len(scheduler.timesteps) == made.calls and not list(scheduler.timesteps)


def test_an_adaptive_sampler_takes_more_calls_where_the_image_needs_them() -> None:
    def count(strength: float, clean_at: float) -> int:
        """Calls on a denoiser whose prediction jumps at one sigma; of half the way, or all."""
        scheduler = make("dpm_adaptive", "epsilon", 20, 20 - int(20 * strength))
        scheduler.set_timesteps(20)
        x, done = draws(1, 50) * scheduler.init_noise_sigma, list[float]()
        for t in scheduler.timesteps:
            share = scheduler.share_done
            assert share is not None and 0 <= share < 1
            done.append(share)
            jumped = torch.ones_like(x) if scheduler.sigma < clean_at else torch.zeros_like(x)
            noise = (x - jumped) / scheduler.sigma
            x = scheduler.step(noise, t, x).prev_sample
        assert scheduler.share_done == 1 and done[-1] > 0.8
        return len(done)

    assert count(1.0, 0.0) < count(1.0, 1.0)


def test_an_adaptive_sampler_with_no_way_to_go_makes_one_call() -> None:
    """-s2 -f0.5 with Karras' sigmas starts at the cleanest one."""
    scheduler = make("dpm_adaptive", "epsilon", 2, 1, "karras")
    made = run_scheduler(
        scheduler, CONFIGS["epsilon"], 2, draws(1, 8), image=draws(2, 8), skipped=1
    )
    assert made.calls == 1 and torch.isfinite(made.x).all()


def test_an_adaptive_sampler_ends_whatever_the_network_predicts() -> None:
    scheduler = make("dpm_adaptive", "epsilon", 20)
    scheduler.set_timesteps(20)
    x = draws(1, 8)
    for calls, t in enumerate(scheduler.timesteps):
        assert calls < 40
        x = scheduler.step(torch.full_like(x, math.nan), t, x).prev_sample
    assert scheduler.finished
