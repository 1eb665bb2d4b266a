"""Inpainting: generates inside a mask; no pixel outside it changes.

Ordinary models are set back to the input image outside the mask at every step (Lugmayr et al. 2022,
RePaint, arXiv:2201.09865, without its resampling); inpainting models, of nine channels, see mask
and image. Either way a latent is a square of pixels, and a decoder changes all of them a little: so
whole squares are generated, and only the masked pixels are pasted into the input image.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import torch
from PIL import Image

from dream.core.errors import ModelError
from dream.core.recipe import Recipe
from dream.engine.empty_conditioning import count_latent_channels
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling import noise
from dream.engine.tasks.derived import get_inpaint_pipeline
from dream.engine.tasks.editing import limit_references
from dream.engine.tasks.strength import compute_pipeline_strength, count_steps
from dream.engine.tasks.task import PipelineCall, Start, TaskInputs
from dream.inputs import feather_mask


def accepts(recipe: Recipe, inputs: TaskInputs) -> bool:
    """Every recipe with an input image and a mask."""
    return inputs.image is not None and inputs.mask is not None


def prepare(
    loaded: LoadedModel, recipe: Recipe, inputs: TaskInputs, source: torch.Generator
) -> PipelineCall:
    """See `task.Task`."""
    assert inputs.image is not None and inputs.mask is not None, "see accepts"
    image, mask = inputs.image, inputs.mask
    _refuse_other_channels(loaded)
    noise_latents = noise.draw_latents(loaded.pipe, recipe, source)
    squares = snap_to_latents(mask, loaded.pipe.vae_scale_factor)
    run_steps = count_steps(recipe)
    arguments: dict[str, Any] = {
        "image": image,
        "mask_image": squares,
        "strength": compute_pipeline_strength(run_steps, recipe.steps, up=noise_latents is None),
        "width": recipe.width,
        "height": recipe.height,
        "num_inference_steps": recipe.steps,
    }
    pipe = get_inpaint_pipeline(loaded)
    if inputs.references:
        arguments["image_reference"] = _take_reference(loaded, pipe, inputs)
    if run_steps == recipe.steps and noise_latents is not None:
        arguments["latents"] = noise_latents  # the first step is pure noise
    return PipelineCall(
        pipe=pipe,
        arguments=arguments,
        steps=run_steps,
        start=_start(noise_latents, squares, recipe.inpaint_replace, source),
        finish=lambda result: Image.composite(result, image, feather_mask(mask, recipe.mask_blur)),
    )


def _take_reference(loaded: LoadedModel, pipe: Any, inputs: TaskInputs) -> Image.Image:
    """The reference image for what is generated inside the mask. Raises ModelError."""
    if "image_reference" not in signature(pipe.__call__).parameters or len(inputs.references) > 1:
        takes = "several reference images" if len(inputs.references) > 1 else "a reference image"
        raise ModelError(
            f"{loaded.info.name} does not support {takes} (-ref) together with a mask",
            "remove -ref or the mask",
        )
    return limit_references(loaded.info, inputs)[0]


def snap_to_latents(mask: Image.Image, side: int) -> Image.Image:
    """The mask, grown to every whole square that it touches. Its sides are multiples of `side`."""
    width, height = mask.size
    values = np.asarray(mask).reshape(height // side, side, width // side, side).max((1, 3))
    return Image.fromarray(values.repeat(side, 0).repeat(side, 1), "L")


def _start(
    noise_latents: torch.Tensor | None,
    squares: Image.Image,
    replace: float,
    source: torch.Generator,
) -> Start | None:
    """The latents to start from: the input image, inside the mask mixed with as much noise as -r
    says. None for pipelines that draw their own noise."""
    if noise_latents is None:
        return None
    if not replace:
        return lambda picture: (picture, noise_latents)
    small = squares.resize(
        (noise_latents.shape[3], noise_latents.shape[2]), Image.Resampling.NEAREST
    )
    covered = replace * torch.from_numpy(np.array(small, np.float32) / 255)
    other = torch.randn(noise_latents.shape, generator=source, device="cpu", dtype=torch.float32)

    def start(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        share_of_noise = covered.to(picture)
        return picture * (1 - share_of_noise) + other.to(picture) * share_of_noise, noise_latents

    return start


def _refuse_other_channels(loaded: LoadedModel) -> None:
    unet = getattr(loaded.pipe, "unet", None)
    if unet is None:
        return
    latent = count_latent_channels(loaded.pipe)
    if unet.config.in_channels not in (latent, 2 * latent + 1):
        raise ModelError(
            f"{loaded.info.name} does not support masks: its denoiser takes other inputs",
            "choose another --model",
        )
