"""ControlNets of Sana. As in diffusers' SanaControlNetPipeline."""

from __future__ import annotations

import torch
from PIL import Image

from dream.engine.control.transformer_control import Additions, Call, TransformerControl


class SanaControl(TransformerControl):
    """See the module."""

    def encode(self, image: Image.Image) -> torch.Tensor:
        """Latents, (1, channels, h, w). Its autoencoder draws nothing."""
        vae, device = self.pipe.vae, self.pipe._execution_device
        latents: torch.Tensor = vae.encode(self.make_pixels(image).to(device, vae.dtype)).latent
        scale: float = vae.config.scaling_factor
        return latents * scale

    def compute(self, call: Call) -> Additions:
        """See the base class."""
        rows = len(call["hidden_states"])
        (samples,) = self.net(
            **self.take(call, "hidden_states", "encoder_hidden_states"),
            encoder_attention_mask=call.get("encoder_attention_mask"),
            timestep=call["timestep"],
            controlnet_cond=torch.cat([self.condition] * rows),
            conditioning_scale=self.active.control.weight,
            return_dict=False,
        )
        return {"controlnet_block_samples": dict(enumerate(samples))}
