"""Configurations of ControlNets for Stable Diffusion 3, FLUX.1, Qwen-Image and Z-Image, inferred
from the shapes of their weights under diffusers' names.

What shapes do not say is the same in every such model that was published, and stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isqrt
from types import MappingProxyType
from typing import Any

from dream.engine.control.transformer_names import is_second_z_image
from dream.engine.loading.config_from_shapes import HEAD_DIM, Shapes, count_blocks

_Z_IMAGE_LAYERS, _Z_IMAGE_REFINERS = 30, 2
"""Layers of the base model and of its refiner."""
_PATCH = 4
"""Latents in a patch of 2 x 2."""
_EVEN = 2 * _PATCH
"""Latents have an even number of channels, so that one more is known for what it is."""
_BLOCKWISE = "controlnet_blocks.0.y_rms.weight"

Base = Mapping[str, Any]
"""The configuration of the model's denoiser, for what shapes do not say; empty if unknown."""


def infer_transformer_control(
    family: str, shapes: Shapes, base: Base = MappingProxyType({})
) -> tuple[str, dict[str, Any]]:
    """The class in diffusers and its configuration. Raises KeyError for a family without one and
    for a missing weight."""
    if family == "qwen-image" and _BLOCKWISE in shapes:
        return "BlockwiseControlNetModel", _blockwise(shapes)
    kind, infer = _FAMILIES[family]
    return kind, infer(shapes, base)


def _blocks(shapes: Shapes, embedder: str, base: Base) -> dict[str, Any]:
    width, channels = shapes[embedder].shape[:2]
    norm = "transformer_blocks.0.attn.norm_q.weight"
    head = base.get("attention_head_dim", HEAD_DIM)
    if norm in shapes:
        head = shapes[norm].shape[0]
    return {
        "in_channels": channels,
        "num_layers": count_blocks(shapes, "transformer_blocks.{}.attn.to_q.weight"),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
    }


def _flux(shapes: Shapes, base: Base) -> dict[str, Any]:
    blocks = _blocks(shapes, "x_embedder.weight", base)
    modes = shapes.get("controlnet_mode_embedder.weight")
    return {
        **blocks,
        **_pixels(shapes, blocks["in_channels"]),
        "num_single_layers": count_blocks(shapes, "single_transformer_blocks.{}.attn.to_q.weight"),
        "joint_attention_dim": shapes["context_embedder.weight"].shape[1],
        "pooled_projection_dim": shapes["time_text_embed.text_embedder.linear_1.weight"].shape[1],
        "guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight" in shapes,
        "axes_dims_rope": _axes(blocks["attention_head_dim"], base),
        "num_mode": None if modes is None else modes.shape[0],
    }


def _pixels(shapes: Shapes, inputs: int) -> dict[str, Any]:
    """Of XLabs', which see pixels: what becomes of them has the channels of a patch of latents."""
    last = shapes.get("input_hint_block.conv_out.weight")
    if last is None:
        return {}
    channels = last.shape[0]
    return {
        "conditioning_embedding_channels": channels,
        "patch_size": isqrt(inputs // channels),
    }


def _qwen_image(shapes: Shapes, base: Base) -> dict[str, Any]:
    blocks = _blocks(shapes, "img_in.weight", base)
    extra = shapes["controlnet_x_embedder.weight"].shape[1] - blocks["in_channels"]
    return {
        **blocks,
        "joint_attention_dim": shapes["txt_norm.weight"].shape[0],
        "axes_dims_rope": _axes(blocks["attention_head_dim"], base),
        "extra_condition_channels": extra,
    }


def _blockwise(shapes: Shapes) -> dict[str, Any]:
    """DiffSynth's for Qwen-Image. Those for inpainting see one more channel of latents."""
    width, inputs = shapes["img_in.weight"].shape
    extra = inputs % _EVEN
    return {
        "num_layers": count_blocks(shapes, "controlnet_blocks.{}.x_rms.weight"),
        "in_channels": inputs - extra,
        "extra_condition_channels": extra,
        "inner_dim": width,
    }


def _sd3(shapes: Shapes, base: Base) -> dict[str, Any]:
    if "context_embedder.weight" not in shapes:
        return _sd35_large(shapes, base)
    blocks = _blocks(shapes, "pos_embed.proj.weight", base)
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


def _sd35_large(shapes: Shapes, base: Base) -> dict[str, Any]:
    """Stability's: no text in their blocks, and no embedding of positions. The rest is as in
    diffusers' script convert_sd3_controlnet_to_diffusers."""
    blocks = _blocks(shapes, "pos_embed_input.proj.weight", base)
    return {
        **blocks,
        "out_channels": blocks["in_channels"],
        "caption_projection_dim": None,
        "joint_attention_dim": None,
        "pooled_projection_dim": shapes["time_text_embed.text_embedder.linear_1.weight"].shape[1],
        "pos_embed_max_size": None,
        "pos_embed_type": None,
        "use_pos_embed": False,
        "force_zeros_for_pooled_projection": False,
    }


def _z_image(shapes: Shapes, base: Base) -> dict[str, Any]:
    """The layers are spread evenly over those of the model. Since version 2, its refiner is
    controlled too; see `convert_transformer_control`."""
    width, inputs = shapes["control_all_x_embedder.2-1.weight"].shape
    head = shapes["control_layers.0.attention.norm_q.weight"].shape[0]
    layers = count_blocks(shapes, "control_layers.{}.attention.to_q.weight")
    own = count_blocks(shapes, "control_noise_refiner.{}.attention.to_q.weight")
    refiners = own or base.get("n_refiner_layers", _Z_IMAGE_REFINERS)
    config = {
        "control_layers_places": [
            n * base.get("n_layers", _Z_IMAGE_LAYERS) // layers for n in range(layers)
        ],
        "control_in_dim": inputs // _PATCH,
        "dim": width,
        "n_refiner_layers": refiners,
        "n_heads": shapes["control_layers.0.attention.to_q.weight"].shape[0] // head,
        "n_kv_heads": shapes["control_layers.0.attention.to_k.weight"].shape[0] // head,
    }
    if not is_second_z_image(shapes):
        return config
    return {
        **config,
        "control_refiner_layers_places": list(range(refiners)),
        "add_control_noise_refiner": "control_noise_refiner" if own else "control_layers",
    }


_FAMILIES: Mapping[str, tuple[str, Callable[[Shapes, Base], dict[str, Any]]]] = {
    "sd3": ("SD3ControlNetModel", _sd3),
    "flux": ("FluxControlNetModel", _flux),
    "qwen-image": ("QwenImageControlNetModel", _qwen_image),
    "z-image": ("ZImageControlNetModel", _z_image),
}
TRANSFORMER_FAMILIES = tuple(_FAMILIES)


def _axes(head: int, base: Base) -> list[int]:
    """A head's width, divided among the axes of a position as in the model, or else as in the
    published ones."""
    return list(base.get("axes_dims_rope", [head * share // 128 for share in (16, 56, 56)]))
