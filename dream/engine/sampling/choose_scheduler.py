"""Chooses the scheduler that runs a recipe's sampler with a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dream.core.errors import ModelError
from dream.core.recipe import Recipe
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling.flow import supports_schedule
from dream.engine.sampling.schedulers import (
    get_effective_sampler,
    is_flow_matching,
    make_flow_scheduler,
    make_scheduler,
    uses_beta_schedule,
)
from dream.engine.tasks import PipelineCall
from dream.options.sampler_table import SAMPLERS
from dream.options.schedule_table import AUTO, FORMER


def get_sampler_note(loaded: LoadedModel, recipe: Recipe) -> str | None:
    """The note where another sampler or schedule is used than the recipe's; None where it is the
    recipe's."""
    pipe, model = loaded.pipe, loaded.info.name
    own = pipe.scheduler
    if not uses_beta_schedule(own.config):
        name = type(own).__name__
        if not _uses_flow(own, recipe):
            return f"{model} only works with {name}; {recipe.sampler} is ignored"
        if not _supports_flow_schedule(recipe):
            return f"{model} does not support --schedule {recipe.schedule}; using its own list"
    elif (only := get_effective_sampler(pipe, recipe.sampler)) != recipe.sampler:
        return f"{model} only works with {only}; {recipe.sampler} is ignored"
    return None


def _supports_flow_schedule(recipe: Recipe) -> bool:
    default = SAMPLERS[recipe.sampler].schedule
    return recipe.schedule in (AUTO, default) or supports_schedule(recipe.schedule)


def _uses_flow(own: Any, recipe: Recipe) -> bool:
    return bool(
        is_flow_matching(own) and SAMPLERS[recipe.sampler].flow and recipe.schedule != FORMER
    )


def _former_config(loaded: LoadedModel, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """As it was before there were schedules: of a file of Stable Diffusion 1 or 2 it did not say
    that the model was trained down to pure noise."""
    if loaded.info.path.is_file() and loaded.info.family != "sdxl":
        return {**config, "rescale_betas_zero_snr": False}
    return config


def choose_scheduler(loaded: LoadedModel, recipe: Recipe, call: PipelineCall) -> Any:
    """A scheduler for one run, or the model's own where no other works. Raises ModelError."""
    own, dtype = loaded.pipe.scheduler, loaded.placement.dtype
    steps = int(call.arguments.get("num_inference_steps", recipe.steps))
    skipped = steps - call.steps
    if uses_beta_schedule(own.config):
        sampler = get_effective_sampler(loaded.pipe, recipe.sampler)
        consistent = sampler != recipe.sampler and recipe.schedule != FORMER
        scheduler = make_scheduler(
            sampler,
            _former_config(loaded, own.config) if recipe.schedule == FORMER else own.config,
            steps,
            dtype,
            schedule="model" if consistent else recipe.schedule,
            skipped=skipped,
            threshold=recipe.threshold,
            karras_max=recipe.karras_max,
            xl=hasattr(loaded.pipe, "text_encoder_2"),
        )
        scheduler.start = call.start
        return scheduler
    if _uses_flow(own, recipe):
        return make_flow_scheduler(
            recipe.sampler,
            own.config,
            dtype,
            schedule=recipe.schedule if _supports_flow_schedule(recipe) else "model",
            skipped=skipped,
            threshold=recipe.threshold,
        )
    if recipe.threshold:
        raise ModelError(
            f"{recipe.model} uses {type(own).__name__}, which does not support --threshold",
            "remove --threshold, or choose another model",
        )
    return own
