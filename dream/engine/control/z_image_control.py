"""ControlNets of Z-Image: Alibaba's unions. As in diffusers' ZImageControlNetPipeline and
ZImageControlNetInpaintPipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from PIL import Image

from dream.core.errors import ModelError
from dream.engine.control.transformer_control import Additions, Call, TransformerControl

_BORROWED = (
    *("t_scale", "t_embedder", "all_x_embedder", "cap_embedder", "rope_embedder"),
    *("noise_refiner", "context_refiner", "x_pad_token", "cap_pad_token"),
)
"""Parts of the denoiser that the ControlNet has not, and uses."""


class ZImageControl(TransformerControl):
    """See the module."""

    by_number = True

    def encode(self, image: Image.Image) -> torch.Tensor:
        """Latents, (1, channels, 1, h, w). Since version 2 there are more channels: what is not
        generated, and the latents of the input image without the rest; without a mask, zeros."""
        pixels = self.make_pixels(image)
        if self.active.control.kind == "inpaint":
            pixels = self.hide_masked(pixels)
        latents = self._encode(pixels)
        more = self.net.config.control_in_dim - latents.shape[1]
        mask, start = self.get_mask(), self.frame.image
        if mask is not None and start is not None and more == latents.shape[1] + 1:
            seen = self._encode(self.make_pixels(start) * (mask < 0.5))
            return torch.cat([latents, self.get_kept(latents), seen], dim=1)
        zeros = latents.new_zeros(1, max(0, more), *latents.shape[2:])
        return torch.cat([latents, zeros], dim=1)

    def compute(self, call: Call) -> Additions:
        """See the base class."""
        if isinstance(call["x"][0], list):
            raise ModelError(
                f"{self.active.loaded.info.name} does not support reference images",
                "remove --control, or the reference images",
            )
        taken = self.take(call, "x", "t", "cap_feats")
        samples: dict[int, torch.Tensor] = self.net(
            **taken,
            control_context=[self.condition[0]] * len(taken["x"]),
            conditioning_scale=self.active.control.weight,
        )
        return {"controlnet_block_samples": samples}

    @contextmanager
    def borrow(self) -> Iterator[None]:
        """While the ControlNet has parts of the denoiser. Afterwards it has none, so that it
        keeps no model in memory."""
        self.require_whole_denoiser()
        transformer = self.pipe.transformer
        for name in _BORROWED:
            setattr(self.net, name, getattr(transformer, name))
        try:
            yield
        finally:
            for name in _BORROWED:
                delattr(self.net, name)
                setattr(self.net, name, None)

    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        vae = self.pipe.vae.config
        latents = self.encode_latents(pixels) - vae.shift_factor
        return torch.unsqueeze(latents * vae.scaling_factor, 2)
