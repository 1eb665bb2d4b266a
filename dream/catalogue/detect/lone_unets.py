"""Detects the UNet of a Stable Diffusion alone in its file, which needs a base model: ComfyUI's
`unet/` and `diffusion_models/`, and files published as “UNet only”."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dream.catalogue.detect.tensors import TensorHeader

ORIGINAL, DIFFUSERS = "original", "diffusers"
"""Whose names its weights have: Stability's or diffusers'."""


@dataclass(frozen=True)
class _Layout:
    """What the names of such a file are."""

    key: str
    prefixes: tuple[str, ...]
    first: str
    """The first convolution."""
    others: str
    """What the names of its blocks begin with."""
    pooled: str
    """A weight that only Stable Diffusion XL has."""
    linear: str
    """A projection that is a matrix in Stable Diffusion 2, and a convolution in 1."""


_LAYOUTS = (
    _Layout(
        ORIGINAL,
        ("model.diffusion_model.", "diffusion_model.", ""),
        "input_blocks.0.0.weight",
        "input_blocks.",
        "label_emb.0.0.weight",
        "middle_block.1.proj_in.weight",
    ),
    _Layout(
        DIFFUSERS,
        ("unet.", ""),
        "conv_in.weight",
        "down_blocks.",
        "add_embedding.linear_1.weight",
        "mid_block.attentions.0.proj_in.weight",
    ),
)
_REFINER_WIDTH = 2560
"""Width of what SDXL's refiner is conditioned on; its base model's is 2816."""
_BLOCKS = ("attentions.", ".1.transformer_blocks.")
"""Parts of names of blocks that attend to the prompt."""


@dataclass(frozen=True)
class LoneUnet:
    """The UNet in a file."""

    layout: str
    """ORIGINAL or DIFFUSERS."""
    prefix: str
    family: str
    refiner: bool
    channels: int
    """Input channels."""


def find_lone_unet(tensors: Mapping[str, TensorHeader]) -> LoneUnet | None:
    """The UNet in a file without text encoders; None if there is none."""
    for layout in _LAYOUTS:
        for prefix in layout.prefixes:
            first = tensors.get(prefix + layout.first)
            if first and len(first.shape) == 4 and _has_attention(tensors, prefix + layout.others):
                return _describe(tensors, layout, prefix, first.shape[1])
    return None


def _has_attention(tensors: Mapping[str, TensorHeader], start: str) -> bool:
    return any(name.startswith(start) and any(b in name for b in _BLOCKS) for name in tensors)


def _describe(
    tensors: Mapping[str, TensorHeader], layout: _Layout, prefix: str, channels: int
) -> LoneUnet:
    pooled, linear = (tensors.get(prefix + name) for name in (layout.pooled, layout.linear))
    if pooled:
        return LoneUnet(
            layout.key, prefix, "sdxl", pooled.shape[-1:] == (_REFINER_WIDTH,), channels
        )
    family = "sd2" if linear and len(linear.shape) == 2 else "sd1"
    return LoneUnet(layout.key, prefix, family, False, channels)
