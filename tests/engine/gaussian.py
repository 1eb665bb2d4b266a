"""An exact denoiser: for Gaussian data, where each row of the latents has a mean and a variance of
its own. With it, a sampler can be compared with a reference written from its paper."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dream.engine.sampling.schedulers import make_scheduler
from dream.engine.silence_libraries import silence_libraries
from dream.options.schedule_table import AUTO

VARIANCES = torch.tensor([0.01, 0.1, 0.5, 1.0, 2.0, 4.0], dtype=torch.float64).view(1, -1, 1)
MEANS = torch.tensor([0.0, 0.3, -0.5, 1.0, 0.0, -1.5], dtype=torch.float64).view(1, -1, 1)
SPREAD = VARIANCES.sqrt()

BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CONFIGS: dict[str, dict[str, Any]] = {
    "epsilon": {**BETAS, "prediction_type": "epsilon", "steps_offset": 1},
    "v": {**BETAS, "prediction_type": "v_prediction", "steps_offset": 1},
    "zero snr": {
        **BETAS,
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "leading",
        "steps_offset": 1,
    },
}

Noise = Callable[[], torch.Tensor]
Reference = Callable[[torch.Tensor, Sequence[float], Noise], torch.Tensor]


def draws(seed: int, count: int) -> torch.Tensor:
    return torch.randn(1, 6, count, generator=torch.Generator().manual_seed(seed))


def clean(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """The mean of x₀, given latents x₀ + sigma * noise."""
    return MEANS + VARIANCES / (VARIANCES + sigma**2) * (x - MEANS)


def noise_in(x: torch.Tensor, sigma: float) -> torch.Tensor:
    return (x - clean(x, sigma)) / sigma


def exact(x: torch.Tensor, sigma: float, to: float = 0.0) -> torch.Tensor:
    """Where the probability flow leads: Song et al. 2021, arXiv:2011.13456, for Gaussian data."""
    return MEANS + (x - MEANS) * ((VARIANCES + to**2) / (VARIANCES + sigma**2)).sqrt()


@dataclass
class Network:
    """Takes latents of variance 1, and predicts what a model with this configuration would."""

    scheduler: Any
    prediction: str
    calls: int = 0

    def __call__(self, seen: torch.Tensor, sigma: float) -> torch.Tensor:
        self.calls += 1
        signal = 1 / math.sqrt(sigma**2 + 1)
        x = seen.double() / signal
        aim = clean(x, sigma)
        noise = (x - aim) / sigma
        if self.prediction == "epsilon":
            return noise.float()
        return (signal * noise - sigma * signal * aim).float()


# ── the algorithms, as their papers and k-diffusion have them ───────────────────────────────────


@dataclass(frozen=True)
class SchedulerRun:
    """What a scheduler made from noise, or from an image."""

    x: torch.Tensor
    start: torch.Tensor
    """Latents x₀ + sigma * noise at the first call, in float64."""
    sigmas: list[float]
    """Of the calls."""
    calls: int


def run_scheduler(
    scheduler: Any,
    config: dict[str, Any],
    steps: int,
    noise: torch.Tensor,
    *,
    image: torch.Tensor | None = None,
    skipped: int = 0,
    mask: torch.Tensor | None = None,
    seed: int = 5,
) -> SchedulerRun:
    """`image` is clean latents; where `mask` is 0, they are set back after every call, with the
    noise of the next call."""
    with silence_libraries():
        scheduler.set_timesteps(steps)
    network = Network(scheduler, config["prediction_type"])
    source = torch.Generator().manual_seed(seed)
    timesteps = scheduler.timesteps[skipped * scheduler.order :]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped * scheduler.order)
    x = noise * scheduler.init_noise_sigma
    if image is not None:
        x = scheduler.add_noise(image, noise, timesteps[:1])
    start, sigmas = None, list[float]()
    takes = "generator" in inspect.signature(scheduler.step).parameters
    arguments = {"generator": source} if takes else {}
    for i, t in enumerate(timesteps):
        sigma = _sigma_of_call(scheduler, t, skipped + i)
        sigmas.append(sigma)
        seen = scheduler.scale_model_input(x, t)
        if start is None:
            start = seen.double() * math.sqrt(sigma**2 + 1)
        x = scheduler.step(network(seen, sigma), t, x, **arguments).prev_sample
        if mask is not None and image is not None and i + 1 < len(timesteps):
            kept = scheduler.add_noise(image, noise, timesteps[i + 1][None])
            x = torch.where(mask.bool(), x, kept)
    assert start is not None
    return SchedulerRun(x.double(), start, sigmas, network.calls)


def _sigma_of_call(scheduler: Any, timestep: torch.Tensor, index: int) -> float:
    """Ours know it; some of diffusers have a list; for others it follows from the timestep."""
    if hasattr(scheduler, "calls_made"):
        return float(scheduler.sigma)
    if hasattr(scheduler, "sigmas"):
        return float(scheduler.sigmas[index])
    level = scheduler.alphas_cumprod.double()[int(timestep)].clamp(min=2.0**-24)
    return float(((1 - level) / level) ** 0.5)


def make(name: str, kind: str, steps: int, skipped: int = 0, schedule: str = AUTO) -> Any:
    """The scheduler of a row of SAMPLERS, for the model of a key of CONFIGS."""
    with silence_libraries():
        return make_scheduler(
            name, CONFIGS[kind], steps, torch.float32, schedule=schedule, skipped=skipped
        )


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """The greatest distance of a row, in standard deviations of its data."""
    return float(((one - other) / SPREAD).pow(2).mean(-1).sqrt().max())
