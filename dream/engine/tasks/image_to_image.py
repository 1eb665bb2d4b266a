"""Image-to-image: an input image, noised according to the strength, and a prompt."""

from __future__ import annotations

import torch

from dream.core.recipe import Recipe
from dream.engine.empty_conditioning import mask_everything
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling import noise
from dream.engine.tasks.derived import get_img2img_pipeline
from dream.engine.tasks.editing import edits, prepare_edit
from dream.engine.tasks.strength import compute_pipeline_strength, count_steps
from dream.engine.tasks.task import PipelineCall, TaskInputs


def accepts(recipe: Recipe, inputs: TaskInputs) -> bool:
    """Every recipe with an input image or reference images, and no mask."""
    return (inputs.image is not None or bool(inputs.references)) and inputs.mask is None


def prepare(
    loaded: LoadedModel, recipe: Recipe, inputs: TaskInputs, source: torch.Generator
) -> PipelineCall:
    """See `task.Task`. A model that edits does so where the line has the image; images in memory
    are refined by other models only."""
    if edits(loaded.info, recipe, inputs):
        return prepare_edit(loaded, recipe, inputs)
    noise_latents = noise.draw_latents(loaded.pipe, recipe, source)
    run_steps = count_steps(recipe)
    pipe = get_img2img_pipeline(loaded)
    return PipelineCall(
        pipe=pipe,
        arguments={
            **mask_everything(pipe, recipe.width, recipe.height),
            "image": inputs.image,
            "strength": compute_pipeline_strength(
                run_steps, recipe.steps, up=noise_latents is None
            ),
            "width": recipe.width,
            "height": recipe.height,
            "num_inference_steps": recipe.steps,
        },
        steps=run_steps,
        start=None if noise_latents is None else lambda picture: (picture, noise_latents),
    )
