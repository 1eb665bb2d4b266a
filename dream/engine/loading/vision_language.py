"""Builds text encoders that can see, Qwen2.5-VL and Qwen3-VL, from the shapes of their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import transformers

from dream.engine.loading.config_from_shapes import count_blocks
from dream.engine.loading.language_models import build_empty, infer_decoder_config

Tensors = dict[str, torch.Tensor]

_VISION_HEAD = 80
"""Width of a head of attention in Qwen2.5-VL's vision."""


def build_qwen25_vl(tensors: Tensors) -> tuple[Any, Tensors]:
    """Qwen2.5-VL, with its vision for the models that edit; a file without it reads words only."""
    named = {_qwen25_name(name): tensor for name, tensor in tensors.items()}
    start = "model.language_model."
    decoder = {"model." + n.removeprefix(start): t for n, t in named.items() if n.startswith(start)}
    queries, keys = (
        decoder[f"model.layers.0.self_attn.{part}_proj.weight"].shape[0] for part in "qk"
    )
    head = 128 if keys % 128 == 0 else keys
    config = infer_decoder_config(decoder, head)
    text = {
        **config,
        "num_attention_heads": queries // head,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 128_000,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": _sections(head, (16, 24, 24)),
        },
    }
    whole = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=_vision_config(named))
    model = build_empty(transformers.Qwen2_5_VLForConditionalGeneration, whole)
    if not any(name.startswith("model.visual.") for name in named):
        del model.model.visual
    model.lm_head = torch.nn.Identity()  # would make words, which nobody reads
    named.pop("lm_head.weight", None)
    return model, named


_TOWER_NAMES: tuple[tuple[str, str], ...] = (
    (r"^v\.blk\.(\d+)\.", r"visual.blocks.\1."),
    (r"^v\.patch_embd\.weight$", "visual.patch_embed.proj.weight"),
    (r"^v\.post_ln\.", "visual.merger.ln_q."),
    (r"^mm\.", "visual.merger.mlp."),
    (r"\.ln([12])\.", r".norm\1."),
    (r"\.attn_out\.", ".attn.proj."),
    (r"\.ffn_(gate|up|down)\.", r".mlp.\1_proj."),
)
"""Patterns, and what they become: llama.cpp's names of Qwen2.5-VL's vision, and transformers'."""
_SECOND_FRAME = "v.patch_embd.weight.1"


def convert_tower(tensors: Tensors) -> Tensors:
    """A vision tower of llama.cpp (`mmproj`) by the names of Qwen2.5-VL. What llama.cpp splits is
    joined: queries, keys and values, and the kernels of two frames. Raises KeyError."""
    converted: Tensors = {}
    for name, tensor in tensors.items():
        if name == _SECOND_FRAME or re.search(r"\.attn_[kv]\.", name):
            continue
        if name == "v.patch_embd.weight":
            tensor = torch.stack([tensor, tensors[_SECOND_FRAME]], dim=2)
        if ".attn_q." in name:
            tensor = torch.cat([tensors[name.replace(".attn_q.", f".attn_{x}.")] for x in "qkv"])
            name = name.replace(".attn_q.", ".attn.qkv.")
        for pattern, new in _TOWER_NAMES:
            name = re.sub(pattern, new, name)
        converted[name] = tensor
    return converted


def _qwen25_name(name: str) -> str:
    if name.startswith("visual."):
        return f"model.{name}"
    if name.startswith("model.") and not name.startswith(
        ("model.visual.", "model.language_model.")
    ):
        return f"model.language_model.{name.removeprefix('model.')}"
    return name


def _vision_config(named: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    block = "model.visual.blocks.{}.attn.qkv.weight"
    if block.format(0) not in named:
        return {"depth": 1}
    width = named[block.format(0)].shape[1]
    return {
        "depth": count_blocks(named, block),
        "hidden_size": width,
        "intermediate_size": named["model.visual.blocks.0.mlp.gate_proj.weight"].shape[0],
        "num_heads": max(1, width // _VISION_HEAD),
        "out_hidden_size": named["model.visual.merger.mlp.2.weight"].shape[0],
    }


def build_qwen3_vl(tensors: Tensors) -> tuple[Any, Tensors]:
    """Qwen3-VL without its vision, which reads words only."""
    start = "language_model."
    named = {
        _qwen3_name(name): tensor for name, tensor in tensors.items() if name != "lm_head.weight"
    }
    read = {name: tensor for name, tensor in named.items() if name.startswith(start)}
    decoder = {f"model.{name.removeprefix(start)}": tensor for name, tensor in read.items()}
    head = decoder["model.layers.0.self_attn.q_norm.weight"].shape[0]
    text = {
        **infer_decoder_config(decoder, head),
        "head_dim": head,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 262_144,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": _sections(head, (24, 20, 20)),
            "mrope_interleaved": True,
        },
    }
    whole = transformers.Qwen3VLConfig(text_config=text, vision_config={"depth": 1})
    model = build_empty(transformers.Qwen3VLModel, whole)
    del model.visual
    return model, read


def _qwen3_name(name: str) -> str:
    """ComfyUI's files have `model.layers.` and `model.visual.`."""
    bare = name.removeprefix("model.")
    return bare if bare.startswith(("visual.", "language_model.")) else f"language_model.{bare}"


def _sections(head: int, shares: tuple[int, ...]) -> list[int]:
    """The frequencies of each axis of a position, of a head's half, as in the published model."""
    sections = [head * share // (2 * sum(shares)) for share in shares]
    sections[0] += head // 2 - sum(sections)
    return sections
