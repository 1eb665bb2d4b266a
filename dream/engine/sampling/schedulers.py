"""A row of the sampler table, made into a scheduler for one image of one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from dream.engine.sampling import dpm_solver, solvers, stochastic
from dream.engine.sampling.float32 import Point, Start, in_float32
from dream.engine.sampling.flow import FlowScheduler
from dream.engine.sampling.former_schedulers import former_scheduler
from dream.engine.sampling.noise_levels import NoiseLevels, read_noise_levels
from dream.engine.sampling.sigma_schedules import compute_sigmas
from dream.engine.sampling.solvers import Solver
from dream.engine.sampling.stepping import SigmaScheduler
from dream.options.sampler_table import SAMPLERS, SamplerSpec
from dream.options.schedule_table import AUTO, FORMER, resolve_schedule


def uses_beta_schedule(config: Mapping[str, Any]) -> bool:
    """Whether a model with this scheduler configuration supports the samplers of the table, which
    need a discrete schedule of betas. Flow matching (SD 3, Flux) and EDM models have none."""
    return "beta_schedule" in config and config.get("prediction_type") != "flow_prediction"


def is_flow_matching(scheduler: Any) -> bool:
    """Whether it is of a flow-matching model that supports some samplers of the table."""
    config = scheduler.config
    return (
        type(scheduler).__name__ == "FlowMatchEulerDiscreteScheduler"
        and not config.get("invert_sigmas")
        and not config.get("stochastic_sampling")
    )


def get_effective_sampler(pipe: Any, sampler: str) -> str:
    """The sampler that a pipeline uses: the requested one, except for the pipeline of consistency
    models, which passes its scheduler arguments that only LCM's accepts."""
    return "lcm" if type(pipe).__name__.startswith("LatentConsistencyModel") else sampler


def make_scheduler(
    sampler: str,
    config: Mapping[str, Any],
    steps: int,
    dtype: torch.dtype,
    *,
    schedule: str = "auto",
    skipped: int = 0,
    threshold: float = 0.0,
    karras_max: int | None = None,
    xl: bool = False,
) -> Any:
    """A new scheduler for a model with this configuration.

    `dtype` is the network's; latents stay float32 between steps. The first `skipped` of the `steps`
    are not run. A `threshold` above 0 clamps the predicted clean latents. `xl` is for lists that
    differ for Stable Diffusion XL. The schedule FORMER is for lines logged before there were
    schedules, see `former_schedulers`.
    """
    if schedule == FORMER:
        return former_scheduler(
            sampler, config, steps, dtype, threshold=threshold, karras_max=karras_max
        )
    row, schedule = SAMPLERS[sampler], resolve_schedule(sampler, schedule, steps, karras_max)
    levels = read_noise_levels(config)
    prediction = str(config.get("prediction_type") or "epsilon")
    if schedule == row.diffusers_schedule:
        scheduler = _make_diffusers_scheduler(row, config, steps, levels, prediction)
        scheduler.network_dtype, scheduler.threshold = dtype, threshold
        return scheduler
    sigmas = partial(compute_sigmas, schedule, levels, spacing=row.spacing, xl=xl)
    return SigmaScheduler.create(
        get_solver(row, levels, from_image=skipped > 0),
        levels,
        partial(_to_cleanest, sigmas, levels) if row.uses_ends_only else sigmas,
        prediction,
        skipped=skipped,
        dtype=dtype,
        threshold=threshold,
        adaptive=row.adaptive,
    )


def _to_cleanest(
    compute: Callable[[int], list[float]], levels: NoiseLevels, steps: int
) -> list[float]:
    """A list for a sampler that uses only its ends: the last is the cleanest sigma of the training.
    Many lists jump from a greater one to 0; such a sampler would stop at that one."""
    sigmas = compute(steps)
    cleanest = float(levels.sigmas[0])
    reached = len(sigmas) > 2 and sigmas[-2] <= cleanest * (1 + 1e-6)
    return sigmas if reached else [*sigmas[:-1], cleanest]


def make_flow_scheduler(
    sampler: str,
    config: Any,
    dtype: torch.dtype,
    *,
    schedule: str = "model",
    skipped: int = 0,
    threshold: float = 0.0,
) -> Any:
    """The same for a flow-matching model, for a row that supports it (`SamplerSpec.flow`). A
    sampler's default schedule is not used: such models have a list of their own."""
    row = SAMPLERS[sampler]
    return FlowScheduler.create(
        get_solver(row),
        config,
        logarithmic=row.flow == "logarithmic",
        schedule="model" if schedule in (AUTO, row.schedule) else schedule,
        skipped=skipped,
        dtype=dtype,
        threshold=threshold,
    )


def get_solver(
    row: SamplerSpec, levels: NoiseLevels | None = None, *, from_image: bool = False
) -> Solver:
    """The function of `solvers`, `dpm_solver` or `stochastic` that a row names."""
    if row.solver == "tcd":
        assert levels is not None, "its steps are measured in timesteps"
        return stochastic.make_tcd(levels)
    name = (from_image and row.from_image) or row.solver
    solver: Solver = next(
        getattr(module, name)
        for module in (solvers, dpm_solver, stochastic)
        if hasattr(module, name)
    )
    return solver


def _make_diffusers_scheduler(
    row: SamplerSpec,
    config: Mapping[str, Any],
    steps: int,
    levels: NoiseLevels,
    prediction: str,
) -> Any:
    """A scheduler of diffusers, from the model's configuration and the row's settings."""
    settings = {**row.settings, "prediction_type": prediction}
    if levels.spacing:
        settings["timestep_spacing"] = levels.spacing
    if row.scheduler == "LCMScheduler":
        # Its steps are chosen from this many, and it rejects more of them.
        settings["original_inference_steps"] = max(50, steps)
    scheduler = in_float32(row.scheduler).from_config(config, **settings)
    scheduler.begins = True
    if config.get("snr_shift_scale"):  # not every class supports it
        scheduler.alphas_cumprod = torch.from_numpy(levels.alphas).float()
        if not scheduler.config.get("set_alpha_to_one", True):
            scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
    return scheduler


def predict_x0(scheduler: Any) -> torch.Tensor | None:
    """The clean latents (1, C, h, w) that the last step predicted; None before the first one,
    or with a scheduler that is not ours.

    Every scheduler scales its input to the variance-preserving form x = √ᾱ·x₀ + √(1-ᾱ)·ε, so one
    formula is enough. For v see Salimans and Ho 2022, arXiv:2202.00512, appendix D.
    """
    if isinstance(scheduler, SigmaScheduler | FlowScheduler):
        clean: torch.Tensor | None = scheduler.clean
        return clean
    if getattr(scheduler, "last", None) is None:
        return None
    return Point.of(scheduler, *scheduler.last).clean


__all__ = [
    "Start",
    "get_effective_sampler",
    "get_solver",
    "is_flow_matching",
    "make_flow_scheduler",
    "make_scheduler",
    "predict_x0",
    "uses_beta_schedule",
]
