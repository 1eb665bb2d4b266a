"""ControlNets of Qwen-Image: InstantX's union, and the one for inpainting. As in diffusers'
QwenImageControlNetPipeline and QwenImageControlNetInpaintPipeline."""

from __future__ import annotations

import torch
from PIL import Image

from dream.engine.control.transformer_control import (
    Additions,
    Call,
    TransformerControl,
    spread_over,
)


class QwenImageControl(TransformerControl):
    """See the module."""

    def encode(self, image: Image.Image) -> torch.Tensor:
        """Latents in patches, (1, n, 4 * channels). One for inpainting sees the image without its
        masked part, and in one more channel what is left."""
        pixels = self.make_pixels(image)
        sees_mask = bool(self.net.config.extra_condition_channels)
        if sees_mask or self.active.control.kind == "inpaint":
            pixels = self.hide_masked(pixels)
        latents = self._normalise(self.encode_latents(pixels[:, :, None]))
        if sees_mask:
            latents = torch.cat([latents, self.get_kept(latents)], dim=1)
        latents = latents.permute(0, 2, 1, 3, 4)
        batch, _, channels, height, width = latents.shape
        packed: torch.Tensor = self.pipe._pack_latents(latents, batch, channels, height, width)
        return packed

    def compute(self, call: Call) -> Additions:
        """See the base class."""
        self.require_same_length(call["hidden_states"])
        samples = self.net(
            **self.take(call, "hidden_states", "timestep", "encoder_hidden_states"),
            encoder_hidden_states_mask=call.get("encoder_hidden_states_mask"),
            img_shapes=call["img_shapes"],
            controlnet_cond=self.condition,
            conditioning_scale=self.active.control.weight,
            return_dict=False,
        )
        blocks = len(self.pipe.transformer.transformer_blocks)
        return {"controlnet_block_samples": spread_over(blocks, samples)}

    def _normalise(self, latents: torch.Tensor) -> torch.Tensor:
        """(1, c, 1, h, w), with mean 0 and variance 1 over what the VAE was trained on."""
        vae = self.pipe.vae.config
        mean, deviation = (
            torch.tensor(value).view(1, vae.z_dim, 1, 1, 1).to(latents.device)
            for value in (vae.latents_mean, vae.latents_std)
        )
        return (latents - mean) * (1.0 / deviation)
