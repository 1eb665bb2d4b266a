"""ControlNets of FLUX.1: InstantX's and Shakker's, which see latents, unions of them, and XLabs',
which see pixels. As in diffusers' FluxControlNetPipeline."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from dream.catalogue.control_info import find_union_mode
from dream.engine.control.transformer_control import (
    Additions,
    Call,
    TransformerControl,
    spread_over,
)


class FluxControl(TransformerControl):
    """See the module."""

    def encode(self, image: Image.Image) -> torch.Tensor:
        """Latents in patches, (1, n, 4 * channels); or pixels, (1, 3, h, w)."""
        self._mode = find_union_mode(self.active.loaded.info, self.active.control.kind)
        pixels = self.make_pixels(image)
        if self.active.control.kind == "inpaint":
            pixels = self.hide_masked(pixels)
        if self.net.input_hint_block is not None:
            return pixels
        vae = self.pipe.vae.config
        latents = (self.encode_latents(pixels) - vae.shift_factor) * vae.scaling_factor
        packed: torch.Tensor = self.pipe._pack_latents(latents, *latents.shape)
        return packed

    def compute(self, call: Call) -> Additions:
        """See the base class."""
        if self.net.input_hint_block is None:
            self.require_same_length(call["hidden_states"])
        mode = None if self._mode is None else torch.tensor([[self._mode]], device=self.device)
        double, single = self.net(
            **self.take(call, "hidden_states", "timestep", "pooled_projections"),
            **self.take(call, "encoder_hidden_states"),
            txt_ids=call["txt_ids"],
            img_ids=call["img_ids"],
            guidance=self._guidance(call),
            controlnet_cond=self.condition,
            controlnet_mode=mode,
            conditioning_scale=self.active.control.weight,
            return_dict=False,
        )
        transformer = self.pipe.transformer
        blocks, singles = (
            len(part)
            for part in (transformer.transformer_blocks, transformer.single_transformer_blocks)
        )
        if self.net.input_hint_block is None:
            placed = spread_over(blocks, double)
        else:
            placed = {number: double[number % len(double)] for number in range(blocks)}
        return {
            "controlnet_block_samples": placed,
            "controlnet_single_block_samples": spread_over(singles, single),
        }

    def _guidance(self, call: Call) -> Any:
        """The guidance, which either of both may know as an input."""
        if not self.net.config.guidance_embeds:
            return None
        if call.get("guidance") is not None:
            return call["guidance"]
        states = call["hidden_states"]
        scale: torch.Tensor = torch.tensor([self.pipe.guidance_scale], device=states.device)
        return scale.expand(states.shape[0])
