"""Editing: a model that was trained to edit sees the input image as it is, and makes a new one from
noise; there is no denoising strength.

Labs et al. 2025 (FLUX.1 Kontext), arXiv:2506.15742. FLUX.2 takes reference images the same way.
"""

from __future__ import annotations

from typing import Any

from dream.core.recipe import Recipe
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.tasks.task import PipelineCall, TaskInputs

EDITORS = ("FluxKontextPipeline", "Flux2KleinPipeline")
"""Pipelines of diffusers that take an image and no strength."""


def edits(pipe: Any, recipe: Recipe) -> bool:
    """Whether a pipeline edits the recipe's input image: it was trained to, there is no mask, and
    the image is the line's own, not one between two passes."""
    whole = recipe.init_img is not None and recipe.init_mask is None and recipe.text_mask is None
    return whole and type(pipe).__name__ in EDITORS


def prepare_edit(loaded: LoadedModel, recipe: Recipe, inputs: TaskInputs) -> PipelineCall:
    """The call that edits the input image, at the recipe's size; its noise is the pipeline's own,
    from the image's generator."""
    return PipelineCall(
        pipe=loaded.pipe,
        arguments={
            "image": inputs.image,
            "width": recipe.width,
            "height": recipe.height,
            "num_inference_steps": recipe.steps,
        },
        steps=recipe.steps,
    )
