"""A picture from another one, noised as far as the strength says, and from words."""

from __future__ import annotations

import torch

from dream.core.recipe import Recipe
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling import noise
from dream.engine.tasks.derived import get_img2img_pipeline
from dream.engine.tasks.strength import compute_pipeline_strength, count_steps
from dream.engine.tasks.task import PipelineCall, TaskInputs


def accepts(recipe: Recipe, given: TaskInputs) -> bool:
    """Every recipe with a picture to start from, and no mask."""
    return given.image is not None and given.mask is None


def prepare(
    loaded: LoadedModel, recipe: Recipe, given: TaskInputs, source: torch.Generator
) -> PipelineCall:
    """See `base.Task`."""
    drawn = noise.draw_latents(loaded.pipe, recipe, source)
    walked = count_steps(recipe)
    return PipelineCall(
        pipe=get_img2img_pipeline(loaded),
        arguments={
            "image": given.image,
            "strength": compute_pipeline_strength(walked, recipe.steps, up=drawn is None),
            "width": recipe.width,
            "height": recipe.height,
            "num_inference_steps": recipe.steps,
        },
        steps=walked,
        start=None if drawn is None else lambda picture: (picture, drawn),
    )
