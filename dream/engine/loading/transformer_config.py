"""The configuration of a denoiser, read from the shapes of its weights under diffusers' names.

What shapes do not say is the same in every published model of a class, and stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isqrt
from typing import Any

from dream.engine.loading.config_from_shapes import Shapes, count_blocks

_SD3_HEAD = 64
"""Width of a head of attention in Stable Diffusion 3, whose first version has no norm to tell."""


_AURAFLOW_HEAD = 256
"""Width of a head of attention in AuraFlow, whose norms have no weights."""
_PIXART_HEADS = 16
_PIXART_SIZE = "adaln_single.emb.resolution_embedder.linear_1.weight"
"""Only PixArt-α for 1024 pixels has it: size and aspect ratio of the image are conditions."""
_HIDREAM_HEAD = 128
"""Width of a head of attention in HiDream-I1, whose norms are as wide as all heads."""
_SANA_HEAD = 32
"""Width of a head of Sana's linear attention."""
_SANA_CROSS_HEAD = 112
"""Width of a head of its other attention in the models of 1.6 and 4.8 billion weights; that of 600
million has 16 heads."""
_SANA_SMALL_HEADS = 16
_LLAMA_LAYERS = 32
"""Of Llama 3.1 8B. HiDream-I1's first 32 blocks read one each, and the others the last."""


def infer_transformer_config(kind: str, shapes: Shapes) -> dict[str, Any]:
    """The configuration of a denoiser of a class of diffusers. Raises KeyError for a weight that
    lacks."""
    return _CONFIGS[kind](shapes)


def _z_image(shapes: Shapes) -> dict[str, Any]:
    embedder = shapes["all_x_embedder.2-1.weight"].shape
    head = shapes["layers.0.attention.norm_q.weight"].shape[0]
    config = {
        "in_channels": embedder[1] // 4,
        "dim": embedder[0],
        "n_layers": count_blocks(shapes, "layers.{}.attention.to_q.weight"),
        "n_refiner_layers": count_blocks(shapes, "noise_refiner.{}.attention.to_q.weight"),
        "n_heads": shapes["layers.0.attention.to_q.weight"].shape[0] // head,
        "n_kv_heads": shapes["layers.0.attention.to_k.weight"].shape[0] // head,
        "cap_feat_dim": shapes["cap_embedder.0.weight"].shape[0],
        "axes_dims": _axes(head, (32, 48, 48)),
        "axes_lens": [1536, 512, 512],
    }
    if "siglip_embedder.0.weight" in shapes:
        config["siglip_feat_dim"] = shapes["siglip_embedder.0.weight"].shape[0]
    return config


def _flux2(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["x_embedder.weight"].shape
    head = shapes["transformer_blocks.0.attn.norm_q.weight"].shape[0]
    return {
        "in_channels": channels,
        "num_layers": count_blocks(shapes, "transformer_blocks.{}.attn.to_q.weight"),
        "num_single_layers": count_blocks(
            shapes, "single_transformer_blocks.{}.attn.to_out.weight"
        ),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"].shape[1],
        "mlp_ratio": shapes["transformer_blocks.0.ff.linear_out.weight"].shape[1] / width,
        "timestep_guidance_channels": shapes[
            "time_guidance_embed.timestep_embedder.linear_1.weight"
        ].shape[1],
        "axes_dims_rope": _axes(head, (32, 32, 32, 32)),
        "guidance_embeds": "time_guidance_embed.guidance_embedder.linear_1.weight" in shapes,
    }


def _flux(shapes: Shapes) -> dict[str, Any]:
    return {
        **_flux_blocks(shapes),
        "pooled_projection_dim": shapes["time_text_embed.text_embedder.linear_1.weight"].shape[1],
        "guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight" in shapes,
    }


def _chroma(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["distilled_guidance_layer.in_proj.weight"].shape
    return {
        **_flux_blocks(shapes),
        "approximator_num_channels": channels,
        "approximator_hidden_dim": width,
        "approximator_layers": count_blocks(shapes, "distilled_guidance_layer.norms.{}.weight"),
    }


def _flux_blocks(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["x_embedder.weight"].shape
    head = shapes["transformer_blocks.0.attn.norm_q.weight"].shape[0]
    outputs = shapes["proj_out.weight"].shape[0]
    return {
        "in_channels": channels,
        "out_channels": None if outputs == channels else outputs,
        "num_layers": count_blocks(shapes, "transformer_blocks.{}.attn.to_q.weight"),
        "num_single_layers": count_blocks(shapes, "single_transformer_blocks.{}.attn.to_q.weight"),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"].shape[1],
        "axes_dims_rope": _axes(head, (16, 56, 56)),
    }


def _qwen_image(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["img_in.weight"].shape
    head = shapes["transformer_blocks.0.attn.norm_q.weight"].shape[0]
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"].shape[0] // 4,
        "num_layers": count_blocks(shapes, "transformer_blocks.{}.attn.to_q.weight"),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["txt_norm.weight"].shape[0],
        "axes_dims_rope": _axes(head, (16, 56, 56)),
    }


def _sd3(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["pos_embed.proj.weight"].shape[:2]
    norm = "transformer_blocks.0.attn.norm_q.weight"
    head = shapes[norm].shape[0] if norm in shapes else _SD3_HEAD
    layers = count_blocks(shapes, "transformer_blocks.{}.attn.to_q.weight")
    dual = (n for n in range(layers) if f"transformer_blocks.{n}.attn2.to_q.weight" in shapes)
    return {
        "sample_size": 128,
        "in_channels": channels,
        "out_channels": channels,
        "num_layers": layers,
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "caption_projection_dim": shapes["context_embedder.weight"].shape[0],
        "joint_attention_dim": shapes["context_embedder.weight"].shape[1],
        "pooled_projection_dim": shapes["time_text_embed.text_embedder.linear_1.weight"].shape[1],
        "pos_embed_max_size": isqrt(shapes["pos_embed.pos_embed"].shape[1]),
        "dual_attention_layers": list(dual),
        "qk_norm": "rms_norm" if norm in shapes else None,
    }


def _lumina2(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["x_embedder.weight"].shape
    head = shapes["layers.0.attn.norm_q.weight"].shape[0]
    return {
        "in_channels": channels // 4,
        "hidden_size": width,
        "num_layers": count_blocks(shapes, "layers.{}.attn.to_q.weight"),
        "num_refiner_layers": count_blocks(shapes, "noise_refiner.{}.attn.to_q.weight"),
        "num_attention_heads": shapes["layers.0.attn.to_q.weight"].shape[0] // head,
        "num_kv_heads": shapes["layers.0.attn.to_k.weight"].shape[0] // head,
        "axes_dim_rope": _axes(head, (32, 32, 32)),
        "cap_feat_dim": shapes["time_caption_embed.caption_embedder.0.weight"].shape[0],
    }


def _krea2(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["img_in.weight"].shape
    block, words = "transformer_blocks.0.", "text_fusion.layerwise_blocks.0."
    head = shapes[f"{block}attn.norm_q.weight"].shape[0]
    text_head = shapes[f"{words}attn.norm_q.weight"].shape[0]
    return {
        "in_channels": channels,
        "num_layers": count_blocks(shapes, "transformer_blocks.{}.attn.to_q.weight"),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "num_key_value_heads": shapes[f"{block}attn.to_k.weight"].shape[0] // head,
        "intermediate_size": shapes[f"{block}ff.gate.weight"].shape[0],
        "timestep_embed_dim": shapes["time_embed.linear_1.weight"].shape[1],
        "text_hidden_dim": shapes["txt_in.linear_1.weight"].shape[1],
        "num_text_layers": shapes["text_fusion.projector.weight"].shape[1],
        "text_num_attention_heads": shapes[f"{words}attn.to_q.weight"].shape[0] // text_head,
        "text_num_key_value_heads": shapes[f"{words}attn.to_k.weight"].shape[0] // text_head,
        "text_intermediate_size": shapes[f"{words}ff.gate.weight"].shape[0],
        "num_layerwise_text_blocks": count_blocks(
            shapes, "text_fusion.layerwise_blocks.{}.attn.to_q.weight"
        ),
        "num_refiner_text_blocks": count_blocks(
            shapes, "text_fusion.refiner_blocks.{}.attn.to_q.weight"
        ),
        "axes_dims_rope": _axes(head, (32, 48, 48)),
    }


def _auraflow(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["pos_embed.proj.weight"].shape
    return {
        "in_channels": channels // 4,
        "out_channels": shapes["proj_out.weight"].shape[0] // 4,
        "num_mmdit_layers": count_blocks(shapes, "joint_transformer_blocks.{}.attn.to_q.weight"),
        "num_single_dit_layers": count_blocks(
            shapes, "single_transformer_blocks.{}.attn.to_q.weight"
        ),
        "attention_head_dim": _AURAFLOW_HEAD,
        "num_attention_heads": width // _AURAFLOW_HEAD,
        "caption_projection_dim": shapes["context_embedder.weight"].shape[0],
        "joint_attention_dim": shapes["context_embedder.weight"].shape[1],
        "pos_embed_max_size": shapes["pos_embed.pos_embed"].shape[1],
    }


def _pixart(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["pos_embed.proj.weight"].shape[:2]
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"].shape[0] // 4,
        "num_layers": count_blocks(shapes, "transformer_blocks.{}.attn1.to_q.weight"),
        "attention_head_dim": width // _PIXART_HEADS,
        "num_attention_heads": _PIXART_HEADS,
        "cross_attention_dim": shapes["transformer_blocks.0.attn2.to_k.weight"].shape[1],
        "caption_channels": shapes["caption_projection.linear_1.weight"].shape[1],
        "use_additional_conditions": _PIXART_SIZE in shapes,
    }


def _hidream(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["x_embedder.proj.weight"].shape
    layers, singles = (
        count_blocks(shapes, f"{kind}_stream_blocks.{{}}.block.attn1.to_q.weight")
        for kind in ("double", "single")
    )
    words = "caption_projection.{}.linear.weight"
    last = layers + singles  # for T5; those before it are for Llama
    return {
        "patch_size": 2,
        "in_channels": channels // 4,
        "out_channels": shapes["final_layer.linear.weight"].shape[0] // 4,
        "num_layers": layers,
        "num_single_layers": singles,
        "attention_head_dim": _HIDREAM_HEAD,
        "num_attention_heads": width // _HIDREAM_HEAD,
        "caption_channels": [shapes[words.format(n)].shape[1] for n in (last, 0)],
        "text_emb_dim": shapes["p_embedder.pooled_embedder.linear_1.weight"].shape[1],
        "num_routed_experts": shapes["double_stream_blocks.0.block.ff_i.gate.weight"].shape[0],
        "num_activated_experts": 2,
        "axes_dims_rope": _axes(_HIDREAM_HEAD, (64, 32, 32)),
        "max_resolution": [128, 128],
        "llama_layers": [min(n, _LLAMA_LAYERS - 1) for n in range(last)],
    }


def _sana(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["patch_embed.proj.weight"].shape[:2]
    heads = width // _SANA_CROSS_HEAD if width % _SANA_CROSS_HEAD == 0 else _SANA_SMALL_HEADS
    block = "transformer_blocks.{}."
    hidden = shapes[f"{block.format(0)}ff.conv_inverted.weight"].shape[0] // 2
    normed = f"{block.format(0)}attn1.norm_q.weight" in shapes
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"].shape[0],
        "num_attention_heads": width // _SANA_HEAD,
        "attention_head_dim": _SANA_HEAD,
        "num_layers": count_blocks(shapes, f"{block}attn1.to_q.weight"),
        "num_cross_attention_heads": heads,
        "cross_attention_head_dim": width // heads,
        "cross_attention_dim": width,
        "caption_channels": shapes["caption_projection.linear_1.weight"].shape[1],
        "mlp_ratio": hidden / width,
        "sample_size": 32,
        "qk_norm": "rms_norm_across_heads" if normed else None,
    }


_CONFIGS: Mapping[str, Callable[[Shapes], dict[str, Any]]] = {
    "AuraFlowTransformer2DModel": _auraflow,
    "ChromaTransformer2DModel": _chroma,
    "Flux2Transformer2DModel": _flux2,
    "FluxTransformer2DModel": _flux,
    "HiDreamImageTransformer2DModel": _hidream,
    "Krea2Transformer2DModel": _krea2,
    "Lumina2Transformer2DModel": _lumina2,
    "PixArtTransformer2DModel": _pixart,
    "QwenImageTransformer2DModel": _qwen_image,
    "SanaTransformer2DModel": _sana,
    "SD3Transformer2DModel": _sd3,
    "ZImageTransformer2DModel": _z_image,
}
"""By the class in diffusers."""


def _axes(head: int, shares: tuple[int, ...]) -> list[int]:
    """A head's width, divided among the axes of a position as in the published model."""
    return [head * share // sum(shares) for share in shares]
