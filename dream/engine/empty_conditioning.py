"""Lets inpainting and depth models generate from a prompt alone: everything is masked, and equally
far away.

Their denoiser takes more channels than the latents have: a mask and the masked image's latents (9
in all), or a depth map (5). Without an input image the mask is 1 everywhere, and the image is grey.
FLUX.1 Fill's pipeline adds them itself, and needs an image and a mask.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch
from PIL import Image


def count_latent_channels(pipe: Any) -> int:
    """Channels of the noise that a pipeline with a UNet starts from."""
    vae = getattr(pipe, "vae", None)
    channels: int = (pipe.unet if vae is None else vae).config[
        "in_channels" if vae is None else "latent_channels"
    ]
    return channels


def mask_everything(pipe: Any, width: int, height: int) -> dict[str, Any]:
    """Arguments for a pipeline that fills the masked part of an image (FLUX.1 Fill): a grey image,
    all of which is masked; none for other pipelines."""
    if "mask_image" not in signature(pipe.__call__).parameters:
        return {}
    grey = Image.new("RGB", (width, height), (128, 128, 128))
    return {"image": grey, "mask_image": Image.new("L", (width, height), 255)}


def add_empty_conditioning(pipe: Any) -> None:
    """Give such a denoiser its extra channels; others are left as they are."""
    unet = getattr(pipe, "unet", None)
    if unet is None or getattr(pipe, "vae", None) is None:
        return
    extra = unet.config.in_channels - count_latent_channels(pipe)
    if extra in (1, 1 + count_latent_channels(pipe)):
        unet.register_forward_pre_hook(_EmptyConditioningHook(pipe.vae, masked=extra > 1))


class _EmptyConditioningHook:
    """The hook; it keeps the latents of the grey image for the last size."""

    def __init__(self, vae: Any, masked: bool) -> None:
        self._vae = vae
        self._masked = masked
        self._grey: torch.Tensor | None = None

    def __call__(self, unet: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        latents, *rest = args
        if latents.shape[1] == unet.config.in_channels:  # the pipeline knows what it generates
            return args
        one = latents[:, :1]
        if not self._masked:
            return (torch.cat([latents, torch.zeros_like(one)], 1), *rest)
        if self._grey is None or self._grey.shape[2:] != latents.shape[2:]:
            self._grey = _grey(self._vae, latents)
        grey = self._grey.to(latents).expand(len(latents), -1, -1, -1)
        return (torch.cat([latents, torch.ones_like(one), grey], 1), *rest)


def _grey(vae: Any, like: torch.Tensor) -> torch.Tensor:
    """Latents of a grey image, for latents (N, C, h, w); computed in float32, because float16 may
    overflow. Weights that are offloaded layer by layer (`engine.memory.offload`) stay in their
    dtype."""
    before = vae.dtype
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    height, width = (factor * side for side in like.shape[2:])
    exact = before if vae.device.type == "meta" else torch.float32
    picture = torch.zeros(1, 3, height, width, device=like.device, dtype=exact)
    try:
        latents: torch.Tensor = vae.to(exact).encode(picture).latent_dist.mode()
    finally:
        vae.to(before)
    return latents.mul(vae.config.scaling_factor)
