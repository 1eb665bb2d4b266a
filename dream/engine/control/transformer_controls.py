"""Configurations of ControlNets for Stable Diffusion 3, FLUX.1, Qwen-Image and Z-Image, inferred
from the shapes of their weights under diffusers' names.

What shapes do not say is the same in every such model that was published, and stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from math import isqrt
from typing import Any

from dream.engine.loading.config_from_shapes import HEAD_DIM, Shapes

_Z_IMAGE_LAYERS = 30
"""Of the base model; the control layers are spread evenly over them."""
_PATCH = 4
"""Latents in a patch of 2 x 2."""


def infer_transformer_control(family: str, shapes: Shapes) -> tuple[str, dict[str, Any]]:
    """The class in diffusers and its configuration. Raises KeyError for a family without one and
    for a missing weight, ValueError for a file that does not say enough."""
    kind, infer = _FAMILIES[family]
    return kind, infer(shapes)


def _blocks(shapes: Shapes, embedder: str) -> dict[str, Any]:
    width, channels = shapes[embedder].shape[:2]
    norm = "transformer_blocks.0.attn.norm_q.weight"
    head = shapes[norm].shape[0] if norm in shapes else HEAD_DIM
    return {
        "in_channels": channels,
        "num_layers": _count(shapes, "transformer_blocks.{}.attn.to_q.weight"),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
    }


def _flux(shapes: Shapes) -> dict[str, Any]:
    blocks = _blocks(shapes, "x_embedder.weight")
    modes = shapes.get("controlnet_mode_embedder.weight")
    return {
        **blocks,
        "num_single_layers": _count(shapes, "single_transformer_blocks.{}.attn.to_q.weight"),
        "joint_attention_dim": shapes["context_embedder.weight"].shape[1],
        "pooled_projection_dim": shapes["time_text_embed.text_embedder.linear_1.weight"].shape[1],
        "guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight" in shapes,
        "axes_dims_rope": _axes(blocks["attention_head_dim"]),
        "num_mode": None if modes is None else modes.shape[0],
    }


def _qwen_image(shapes: Shapes) -> dict[str, Any]:
    blocks = _blocks(shapes, "img_in.weight")
    extra = shapes["controlnet_x_embedder.weight"].shape[1] - blocks["in_channels"]
    return {
        **blocks,
        "joint_attention_dim": shapes["txt_norm.weight"].shape[0],
        "axes_dims_rope": _axes(blocks["attention_head_dim"]),
        "extra_condition_channels": extra,
    }


def _sd3(shapes: Shapes) -> dict[str, Any]:
    """Of SD3 and SD3.5 medium; Stability's files for SD3.5 large have no text in their blocks."""
    if "context_embedder.weight" not in shapes:
        raise ValueError("only the folder in diffusers layout says how it was trained")
    blocks = _blocks(shapes, "pos_embed.proj.weight")
    layers = range(blocks["num_layers"])
    second = "transformer_blocks.{}.attn2.to_q.weight"
    norm = "transformer_blocks.0.attn.norm_q.weight"
    return {
        **blocks,
        "out_channels": blocks["in_channels"],
        "caption_projection_dim": shapes["context_embedder.weight"].shape[0],
        "joint_attention_dim": shapes["context_embedder.weight"].shape[1],
        "pooled_projection_dim": shapes["time_text_embed.text_embedder.linear_1.weight"].shape[1],
        "pos_embed_max_size": isqrt(shapes["pos_embed.pos_embed"].shape[1]),
        "dual_attention_layers": [n for n in layers if second.format(n) in shapes],
        "qk_norm": "rms_norm" if norm in shapes else None,
        "extra_conditioning_channels": shapes["pos_embed_input.proj.weight"].shape[1]
        - blocks["in_channels"],
    }


def _z_image(shapes: Shapes) -> dict[str, Any]:
    """Of the first version; those since then differ in what no shape says."""
    if "control_noise_refiner.0.before_proj.weight" in shapes:
        raise ValueError("only the folder in diffusers layout says how it was trained")
    width, inputs = shapes["control_all_x_embedder.2-1.weight"].shape
    head = shapes["control_layers.0.attention.norm_q.weight"].shape[0]
    layers = _count(shapes, "control_layers.{}.attention.to_q.weight")
    return {
        "control_layers_places": [n * _Z_IMAGE_LAYERS // layers for n in range(layers)],
        "control_in_dim": inputs // _PATCH,
        "dim": width,
        "n_refiner_layers": _count(shapes, "control_noise_refiner.{}.attention.to_q.weight"),
        "n_heads": shapes["control_layers.0.attention.to_q.weight"].shape[0] // head,
        "n_kv_heads": shapes["control_layers.0.attention.to_k.weight"].shape[0] // head,
    }


_FAMILIES: Mapping[str, tuple[str, Callable[[Shapes], dict[str, Any]]]] = {
    "sd3": ("SD3ControlNetModel", _sd3),
    "flux": ("FluxControlNetModel", _flux),
    "qwen-image": ("QwenImageControlNetModel", _qwen_image),
    "z-image": ("ZImageControlNetModel", _z_image),
}
TRANSFORMER_FAMILIES = tuple(_FAMILIES)


def _axes(head: int) -> list[int]:
    """A head's width, divided among the axes of a position as in the published models."""
    return [head * share // 128 for share in (16, 56, 56)]


def _count(shapes: Shapes, pattern: str) -> int:
    """How many blocks there are, from 0 on, without a gap."""
    return next(n for n in count() if pattern.format(n) not in shapes)
