"""Where a picture starts: noise drawn on the CPU in float32, the same on every device."""

from __future__ import annotations

from typing import Any

import torch

from dream.engine.blank import latent_channels


def generator(seed: int) -> torch.Generator:
    """The picture's one source of chance, on the CPU. seed: 0 to 2**32 - 1."""
    return torch.Generator("cpu").manual_seed(seed)


def latents(pipe: Any, source: torch.Generator, width: int, height: int) -> torch.Tensor | None:
    """The first noise (1, C, height/f, width/f) in float32; width and height in pixels.

    None for pipelines without a UNet, whose latents have shapes of their own: those draw it
    themselves, from the same CPU generator. They draw it in the network's number type, which on
    the CPU is the float32 draw rounded.
    """
    if getattr(pipe, "unet", None) is None:
        return None
    factor = pipe.vae_scale_factor
    shape = (1, latent_channels(pipe), height // factor, width // factor)
    drawn = torch.randn(shape, generator=source, device="cpu", dtype=torch.float32)
    if pipe.unet.config.time_cond_proj_dim is None:
        return drawn
    # A consistency model hears the guidance scale too, and takes its number type from the latents.
    return drawn.to(pipe.unet.dtype)
