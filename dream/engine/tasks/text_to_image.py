"""A image from a prompt alone: the loaded pipeline as it is."""

from __future__ import annotations

import torch

from dream.core.recipe import Recipe
from dream.engine.empty_conditioning import mask_everything
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling import noise
from dream.engine.tasks.derived import get_text_pipeline
from dream.engine.tasks.task import PipelineCall, TaskInputs


def accepts(recipe: Recipe, inputs: TaskInputs) -> bool:
    """Every recipe that starts from no image."""
    return inputs.image is None


def prepare(
    loaded: LoadedModel, recipe: Recipe, inputs: TaskInputs, source: torch.Generator
) -> PipelineCall:
    """See `task.Task`."""
    pipe = get_text_pipeline(loaded)
    arguments = {
        **mask_everything(pipe, recipe.width, recipe.height),
        "latents": noise.draw_latents(loaded.pipe, recipe, source),
        "width": recipe.width,
        "height": recipe.height,
        "num_inference_steps": recipe.steps,
    }
    return PipelineCall(pipe=pipe, arguments=arguments, steps=recipe.steps)
