"""Symmetric pictures: when a share of the steps is done, one half is the other's reflection.

InvokeAI mirrored the latents once, and the network was free to lead them apart again; here they
are mirrored from that step on. A mirrored latent does not become quite a mirrored patch of
pixels, so at last the picture is mirrored too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image, ImageOps

from dream.core.errors import ModelError
from dream.core.recipe import Recipe


@dataclass(frozen=True)
class Symmetry:
    """From when on to mirror, as shares of the steps from 0 to 1; 0 is never."""

    left_right: float = 0.0
    top_bottom: float = 0.0

    @staticmethod
    def from_recipe(recipe: Recipe) -> Symmetry:
        """What a recipe asks for."""
        return Symmetry(recipe.h_symmetry_time_pct, recipe.v_symmetry_time_pct)

    def after_step(self, latents: torch.Tensor, step: int, steps: int) -> torch.Tensor:
        """The latents (1, C, h, w) to go on with after `step` of `steps`. Raises ModelError for
        latents of another shape, whose places are not known here."""
        for axis, share in ((-1, self.left_right), (-2, self.top_bottom)):
            if share and latents.ndim != 4:
                raise ModelError(
                    "symmetry is not supported for this model",
                    "choose a model with a UNet, or Stable Diffusion 3",
                )
            if share and step >= share * steps:
                latents = _mirrored(latents, axis)
        return latents

    def apply_to_image(self, image: Image.Image) -> Image.Image:
        """The finished picture, symmetric to the pixel."""
        width, height = image.size
        image = image.copy()
        if self.left_right:
            left = image.crop((0, 0, width // 2, height))
            image.paste(ImageOps.mirror(left), (width - width // 2, 0))
        if self.top_bottom:
            top = image.crop((0, 0, width, height // 2))
            image.paste(ImageOps.flip(top), (0, height - height // 2))
        return image


def _mirrored(latents: torch.Tensor, axis: int) -> torch.Tensor:
    """The first half, and its reflection in place of the other; the middle of an odd number
    stays."""
    size = latents.shape[axis]
    first, middle = latents.narrow(axis, 0, size // 2), latents.narrow(axis, size // 2, size % 2)
    return torch.cat([first, middle, first.flip(axis)], axis)
