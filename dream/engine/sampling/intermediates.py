"""Unfinished images, decoded by the VAE (`--save_intermediates`)."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from dream.engine.sampling.preview import unpack_latents
from dream.engine.sampling.schedulers import predict_x0

FILMS = ("AutoencoderKLQwenImage", "AutoencoderKLWan")
"""VAEs that decode (1, C, frames, h, w); an image is a video of one frame."""


class Intermediates:
    """After every so many steps of one pass, the image that the latents predict."""

    def __init__(self, every: int, width: int, height: int, *, ends: bool = True) -> None:
        """`every` is at least 1; `width` and `height` are the image's, in pixels. Where the pass
        `ends` the image, the last step's is the image itself, and is not saved as unfinished."""
        self._every = every
        self._ends = ends
        self._size = (height, width)
        self._step = 0

    def after_step(
        self, pipe: Any, latents: torch.Tensor, step: int, steps: int
    ) -> Image.Image | None:
        """The unfinished image, if this step is one of them, or an adaptive sampler went past one.
        `latents` are the pipeline's."""
        due = step // self._every > self._step // self._every
        self._step = step
        if not due or (self._ends and step >= steps):
            return None
        clean = predict_x0(pipe.scheduler)
        seen = unpack_latents(pipe, latents if clean is None else clean, *self._size)
        return None if seen is None else _as_image(decode_latents(pipe.vae, seen))


def find_obstacle(pipe: Any) -> str:
    """Why a pipeline cannot decode unfinished images; empty where it can."""
    vae = getattr(pipe, "vae", None)
    if vae is None:
        return "has no VAE, so --save_intermediates is ignored"
    config = vae.config
    scaled = config.get("scaling_factor") is not None
    normalised = bool(config.get("latents_mean")) and bool(config.get("latents_std"))
    if not (scaled or normalised or hasattr(vae, "bn")):
        return (
            "has latents that cannot be decoded between steps, so --save_intermediates is ignored"
        )
    return ""


@torch.no_grad()
def decode_latents(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """The image, (1, 3, H, W) in float32 and about -1..1, of latents (1, C, h, w) as the network
    sees them."""
    config, before = vae.config, vae.dtype
    latents = latents.float() / (config.get("scaling_factor") or 1.0)
    if getattr(config, "latents_mean", None) and getattr(config, "latents_std", None):
        mean, std = (
            torch.tensor(numbers).to(latents).view(1, -1, 1, 1)
            for numbers in (config.latents_mean, config.latents_std)
        )
        latents = latents * std + mean
    latents = latents + (getattr(config, "shift_factor", None) or 0.0)
    latents = _undo_batch_norm(vae, latents)
    try:
        if before == torch.float16:  # in which some VAEs overflow
            vae.to(torch.float32)
        latents = latents.to(vae.dtype)
        film = type(vae).__name__ in FILMS
        image = vae.decode(latents.unsqueeze(2) if film else latents, return_dict=False)[0]
        image = image[:, :, 0] if film else image
    finally:
        if before == torch.float16:
            vae.to(before)
    decoded: torch.Tensor = image.float()
    return decoded


def _as_image(decoded: torch.Tensor) -> Image.Image:
    pixels = decoded[0].add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy(), "RGB")


def _undo_batch_norm(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """FLUX.2's latents (1, C, h, w) as its VAE decodes them: it normalizes squares of 2 x 2."""
    norm = getattr(vae, "bn", None)
    if norm is None:
        return latents
    _, channels, height, width = latents.shape
    mean, deviation = (
        numbers.float().reshape(1, channels, 2, 2).repeat(1, 1, height // 2, width // 2).to(latents)
        for numbers in (
            norm.running_mean,
            torch.sqrt(norm.running_var + vae.config.batch_norm_eps),
        )
    )
    return latents * deviation + mean
