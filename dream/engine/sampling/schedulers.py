"""A row of the table of samplers, made into a scheduler for one picture of one model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from dream.engine.sampling import solvers, stochastic
from dream.engine.sampling.float32 import Point, Start, in_float32
from dream.engine.sampling.flow import FlowScheduler
from dream.engine.sampling.former_schedulers import former_scheduler
from dream.engine.sampling.noise_levels import Levels, levels_of
from dream.engine.sampling.sigma_schedules import sigmas_of
from dream.engine.sampling.solvers import Solver
from dream.engine.sampling.stepping import SigmaScheduler
from dream.options.sampler_table import SAMPLERS, SamplerSpec
from dream.options.schedule_table import FORMER, resolve_schedule


def uses_beta_schedule(config: Mapping[str, Any]) -> bool:
    """Whether a model with this scheduler configuration can take the samplers of the table: those
    walk a discrete schedule of betas. Flow matching (SD 3, Flux) and EDM models do not have one."""
    return "beta_schedule" in config and config.get("prediction_type") != "flow_prediction"


def flows(scheduler: Any) -> bool:
    """Whether it walks along a flow that some samplers of the table can walk too."""
    config = scheduler.config
    return (
        type(scheduler).__name__ == "FlowMatchEulerDiscreteScheduler"
        and not config.get("invert_sigmas")
        and not config.get("stochastic_sampling")
    )


def get_effective_sampler(pipe: Any, asked: str) -> str:
    """The row that a pipeline can walk by: the asked one, but for consistency models' own pipeline,
    which hands its scheduler what only LCM's takes."""
    return "lcm" if type(pipe).__name__.startswith("LatentConsistencyModel") else asked


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
    """A fresh scheduler for a model with this configuration.

    `dtype` is the network's; latents stay float32 between steps. Of the `steps` the first `skipped`
    are not walked. With a `threshold` above 0, what they clear up to is clamped to it. `xl` is for
    lists that are others for Stable Diffusion XL. The schedule FORMER is for lines that were logged
    before there were schedules, see `former`.
    """
    if schedule == FORMER:
        return former_scheduler(
            sampler, config, steps, dtype, threshold=threshold, karras_max=karras_max
        )
    row, schedule = SAMPLERS[sampler], resolve_schedule(sampler, schedule, steps, karras_max)
    levels = levels_of(config)
    prediction = str(config.get("prediction_type") or "epsilon")
    along = partial(sigmas_of, schedule, levels, spacing=row.spacing, xl=xl)
    if schedule == row.of_diffusers:
        made = _of_diffusers(row, config, steps, levels, prediction)
        made.network_dtype, made.threshold = dtype, threshold
        return made
    return SigmaScheduler.of(
        solver_of(row, levels),
        levels,
        along,
        prediction,
        skipped=skipped,
        dtype=dtype,
        threshold=threshold,
    )


def make_flow_scheduler(
    sampler: str, config: Any, dtype: torch.dtype, *, skipped: int = 0, threshold: float = 0.0
) -> Any:
    """The same for a model of flow matching, for a row that can (`Sampler.flow`)."""
    row = SAMPLERS[sampler]
    return FlowScheduler.of(
        solver_of(row),
        config,
        logarithmic=row.flow == "logarithmic",
        skipped=skipped,
        dtype=dtype,
        threshold=threshold,
    )


def solver_of(row: SamplerSpec, levels: Levels | None = None) -> Solver:
    """The function of `solvers` or `stochastic` that a row names."""
    if row.solver == "tcd":
        assert levels is not None, "its steps are measured in timesteps"
        return stochastic.tcd(levels)
    found: Solver = getattr(solvers, row.solver, None) or getattr(stochastic, row.solver)
    return found


def _of_diffusers(
    row: SamplerSpec,
    config: Mapping[str, Any],
    steps: int,
    levels: Levels,
    prediction: str,
) -> Any:
    """A scheduler of diffusers: the model's configuration with the row's settings laid over it."""
    settings = {**row.settings, "prediction_type": prediction}
    if levels.spacing:
        settings["timestep_spacing"] = levels.spacing
    if row.scheduler in ("LCMScheduler", "TCDScheduler"):
        # It picks its steps out of this many, and refuses more of them.
        settings["original_inference_steps"] = max(50, steps)
    made = in_float32(row.scheduler).from_config(config, **settings)
    made.begins = True
    if config.get("snr_shift_scale"):  # which the class may not know
        made.alphas_cumprod = torch.from_numpy(levels.alphas).float()
        if not made.config.get("set_alpha_to_one", True):
            made.final_alpha_cumprod = made.alphas_cumprod[0]
    return made


def predict_x0(scheduler: Any) -> torch.Tensor | None:
    """The clean latents (1, C, h, w) that the last step aimed at; None before the first one, or
    with a scheduler that is not ours.

    Every scheduler scales its input to the variance-preserving form x = √ᾱ·x₀ + √(1-ᾱ)·ε, so one
    formula serves them all. For v see Salimans and Ho 2022, arXiv:2202.00512, appendix D.
    """
    if isinstance(scheduler, SigmaScheduler | FlowScheduler):
        cleaned: torch.Tensor | None = scheduler.cleaned
        return cleaned
    if getattr(scheduler, "last", None) is None:
        return None
    return Point.of(scheduler, *scheduler.last).clean


__all__ = [
    "Start",
    "flows",
    "get_effective_sampler",
    "make_flow_scheduler",
    "make_scheduler",
    "predict_x0",
    "solver_of",
    "uses_beta_schedule",
]
