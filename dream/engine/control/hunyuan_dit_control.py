"""ControlNets of HunyuanDiT. As in diffusers' HunyuanDiTControlNetPipeline."""

from __future__ import annotations

import torch
from PIL import Image

from dream.core.errors import ModelError
from dream.engine.control.transformer_control import Additions, Call, TransformerControl

_TEXTS = (
    *("encoder_hidden_states", "text_embedding_mask"),
    *("encoder_hidden_states_t5", "text_embedding_mask_t5"),
)


class HunyuanDiTControl(TransformerControl):
    """See the module."""

    def encode(self, image: Image.Image) -> torch.Tensor:
        """Latents, (1, channels, h, w). Raises ModelError for a ControlNet of another depth: it
        adds to each of the denoiser's connections between its halves."""
        wanted = self.pipe.transformer.config.num_layers // 2 - 1
        if (own := len(self.net.controlnet_blocks)) != wanted:
            raise ModelError(
                f"{self.active.loaded.info.name} does not fit the model: it adds to {own} layers,"
                f" the model takes {wanted}",
                "choose another --control_model",
            )
        scale: float = self.pipe.vae.config.scaling_factor
        return self.encode_latents(self.make_pixels(image)) * scale

    def compute(self, call: Call) -> Additions:
        """See the base class."""
        rows = len(call["hidden_states"])
        (samples,) = self.net(
            **self.take(call, "hidden_states", "timestep", *_TEXTS),
            **self.take(call, "image_meta_size", "style", "image_rotary_emb"),
            controlnet_cond=torch.cat([self.condition] * rows),
            conditioning_scale=self.active.control.weight,
            return_dict=False,
        )
        return {"controlnet_block_samples": dict(enumerate(samples))}
