"""DiffSynth's ControlNets for Qwen-Image: a small network beside each block of the model, which
sees what the block found. diffusers has none; as in DiffSynth-Studio's qwen_image_controlnet.py.
"""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.normalization import RMSNorm
from torch import nn


class BlockwiseControlNetModel(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """See the module."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        num_layers: int = 60,
        in_channels: int = 64,
        extra_condition_channels: int = 0,
        inner_dim: int = 3072,
    ) -> None:
        super().__init__()
        self.img_in = nn.Linear(in_channels + extra_condition_channels, inner_dim)
        self.controlnet_blocks = nn.ModuleList(_Block(inner_dim) for _ in range(num_layers))

    def embed(self, condition: torch.Tensor) -> torch.Tensor:
        """(1, n, channels): latents of the control image in patches → (1, n, inner_dim)."""
        embedded: torch.Tensor = self.img_in(condition)
        return embedded

    def compute(self, number: int, states: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        """What is added to a block's output (batch, n, inner_dim)."""
        added: torch.Tensor = self.controlnet_blocks[number](states, embedded)
        return added


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.x_rms, self.y_rms = RMSNorm(width, eps=1e-6), RMSNorm(width, eps=1e-6)
        self.input_proj, self.output_proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, states: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        joined = self.input_proj(self.x_rms(states) + self.y_rms(embedded))
        added: torch.Tensor = self.output_proj(nn.functional.gelu(joined))
        return added
