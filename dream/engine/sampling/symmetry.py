"""Symmetric images: after a share of the steps, one half becomes the other's reflection.

InvokeAI mirrored the latents once, and the network could change the halves again; here they are
mirrored at every step from then on. A mirrored latent does not decode exactly to mirrored pixels,
so the finished image is mirrored too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image, ImageOps

from dream.core.errors import ModelError
from dream.core.recipe import Recipe


@dataclass(frozen=True)
class Symmetry:
    """When mirroring starts, as shares of the steps from 0 to 1; 0 is never."""

    left_right: float = 0.0
    top_bottom: float = 0.0

    @staticmethod
    def from_recipe(recipe: Recipe) -> Symmetry:
        """The recipe's symmetry."""
        return Symmetry(recipe.h_symmetry_time_pct, recipe.v_symmetry_time_pct)

    def after_step(self, latents: torch.Tensor, step: int, steps: int) -> torch.Tensor:
        """The latents (1, C, h, w) for the next step, after `step` of `steps`. Raises ModelError
        for latents of another shape, whose positions are not known here."""
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
        """The finished image, symmetric to the pixel."""
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
    """The first half, and its reflection instead of the other; the middle of an odd number is
    unchanged."""
    size = latents.shape[axis]
    first, middle = latents.narrow(axis, 0, size // 2), latents.narrow(axis, size // 2, size % 2)
    return torch.cat([first, middle, first.flip(axis)], axis)
