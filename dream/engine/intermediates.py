"""Pictures in the making, as the VAE sees them (`--save_intermediates`)."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from dream.engine.preview import unpacked
from dream.engine.samplers import clean_estimate


class Intermediates:
    """After every so many steps of one walk the picture that the latents clear up to."""

    def __init__(self, every: int, width: int, height: int, *, ends: bool = True) -> None:
        """`every` is at least 1; `width` and `height` are the picture's, in pixels; where the walk
        `ends` it, the last step's is the picture itself, and not one in the making."""
        self._every = every
        self._ends = ends
        self._size = (height, width)

    def after_step(
        self, pipe: Any, latents: torch.Tensor, step: int, steps: int
    ) -> Image.Image | None:
        """The picture, if this step is one of them. `latents` are the pipeline's."""
        if step % self._every or (self._ends and step >= steps):
            return None
        clean = clean_estimate(pipe.scheduler)
        return _decoded(pipe.vae, unpacked(pipe, latents, *self._size) if clean is None else clean)


@torch.no_grad()
def _decoded(vae: Any, latents: torch.Tensor) -> Image.Image:
    """The picture of scaled latents (1, C, h, w)."""
    config, before = vae.config, vae.dtype
    latents = latents.float() / config.scaling_factor
    if getattr(config, "latents_mean", None) and getattr(config, "latents_std", None):
        mean, std = (
            torch.tensor(numbers).to(latents).view(1, -1, 1, 1)
            for numbers in (config.latents_mean, config.latents_std)
        )
        latents = latents * std + mean
    latents = latents + (getattr(config, "shift_factor", None) or 0.0)
    try:
        if before == torch.float16:  # in which some VAEs overflow
            vae.to(torch.float32)
        image = vae.decode(latents.to(vae.dtype), return_dict=False)[0]
    finally:
        if before == torch.float16:
            vae.to(before)
    pixels = image[0].float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy(), "RGB")
