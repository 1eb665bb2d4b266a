"""Editing: a model that was trained to edit sees reference images as they are, and makes a new one
from noise; there is no denoising strength.

Labs et al. 2025 (FLUX.1 Kontext), arXiv:2506.15742; Wu et al. 2025 (Qwen-Image), arXiv:2508.02324.
FLUX.2 takes reference images the same way.
"""

from __future__ import annotations

from math import sqrt

from PIL import Image

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError
from dream.core.recipe import Recipe
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.tasks.task import PipelineCall, TaskInputs


def edits_initial_image(info: ModelInfo, recipe: Recipe) -> bool:
    """Whether a model edits the recipe's input image: it was trained to, there is no mask, and the
    image is the line's own, not one between two passes."""
    whole = recipe.init_img is not None and recipe.init_mask is None and recipe.text_mask is None
    return whole and info.references > 0


def edits(info: ModelInfo, recipe: Recipe, inputs: TaskInputs) -> bool:
    """Whether a model makes the recipe's image by editing."""
    if inputs.references and not info.references:  # `session.resolve` refuses it, too
        raise ModelError(f"{info.name} does not take reference images (-ref)")
    from_references = bool(inputs.references) and inputs.image is None
    return from_references or edits_initial_image(info, recipe)


def prepare_edit(loaded: LoadedModel, recipe: Recipe, inputs: TaskInputs) -> PipelineCall:
    """The call that edits the images, at the recipe's size; its noise is the pipeline's own, from
    the image's generator."""
    first = () if inputs.image is None else (inputs.image,)
    images = [*first, *limit_references(loaded.info, inputs)]
    return PipelineCall(
        pipe=loaded.pipe,
        arguments={
            "image": images[0] if len(images) == 1 else images,
            "width": recipe.width,
            "height": recipe.height,
            "num_inference_steps": recipe.steps,
        },
        steps=recipe.steps,
    )


def limit_references(info: ModelInfo, inputs: TaskInputs) -> list[Image.Image]:
    """The reference images, each with at most as many pixels as the model's native size."""
    return [_limit(image, info.width * info.height) for image in inputs.references]


def _limit(image: Image.Image, most: int) -> Image.Image:
    scale = sqrt(most / (image.width * image.height))
    if scale >= 1:
        return image
    size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)
