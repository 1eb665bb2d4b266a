"""ControlNets of Stable Diffusion 3 and 3.5: InstantX's, alimama's for inpainting, and Stability's
for 3.5 large. As in diffusers' StableDiffusion3ControlNetPipeline and
StableDiffusion3ControlNetInpaintingPipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from PIL import Image

from dream.engine.control.active_control import make_pixels
from dream.engine.control.transformer_control import Additions, Call, TransformerControl


class SD3Control(TransformerControl):
    """See the module."""

    def encode(self, image: Image.Image) -> torch.Tensor:
        """Latents, (1, channels, h, w). One for inpainting sees the image without its masked part,
        and in one more channel what is left."""
        config = self.net.config
        sees_mask = bool(config.extra_conditioning_channels)
        pixels = self._make_pixels(image)
        if sees_mask or self.active.control.kind == "inpaint":
            pixels = self.hide_masked(pixels)
        vae = self.pipe.vae.config
        # InstantX's were trained without the shift.
        shifted = sees_mask or not config.force_zeros_for_pooled_projection
        latents = self.encode_latents(pixels) - (vae.shift_factor if shifted else 0)
        latents = latents * vae.scaling_factor
        return torch.cat([latents, self.get_kept(latents)], dim=1) if sees_mask else latents

    def compute(self, call: Call) -> Additions:
        """See the base class."""
        config = self.net.config
        taken = self.take(call, "hidden_states", "pooled_projections", "encoder_hidden_states")
        if config.force_zeros_for_pooled_projection:
            taken["pooled_projections"] = torch.zeros_like(taken["pooled_projections"])
        if config.joint_attention_dim is None:
            taken["encoder_hidden_states"] = None
        (samples,) = self.net(
            **taken,
            timestep=call["timestep"],
            controlnet_cond=torch.cat([self.condition] * len(taken["hidden_states"])),
            conditioning_scale=self.active.control.weight,
            return_dict=False,
        )
        blocks = len(self.pipe.transformer.transformer_blocks)
        each = blocks / len(samples)
        placed = {number: samples[int(number / each)] for number in range(blocks)}
        return {"block_controlnet_hidden_states": placed}

    @contextmanager
    def borrow(self) -> Iterator[None]:
        """While Stability's, which have none, have the denoiser's embedding of positions."""
        own = self.net.pos_embed
        if own is None:
            self.net.pos_embed = self._copy_positions()
        try:
            yield
        finally:
            if own is None:
                del self.net.pos_embed
                self.net.pos_embed = None

    def _copy_positions(self) -> Any:
        self.require_whole_denoiser()
        copy = deepcopy(self.pipe.transformer.pos_embed)
        return copy.to(self.device, self.dtype)

    def _make_pixels(self, image: Image.Image) -> torch.Tensor:
        """(1, 3, h, w). Stability's were trained on edges of another range, and on depth that is
        lighter the further away it is: https://github.com/Stability-AI/sd3.5."""
        if self.net.config.use_pos_embed:
            return self.make_pixels(image)
        kind = self.active.control.kind
        if kind == "canny":
            return make_pixels(image, 3) * 255 * 0.5 + 0.5
        pixels = self.make_pixels(image)
        # A map that is used as it is, is one in their form.
        return -pixels if kind == "depth" and self.active.make_map is not None else pixels
