"""Tensor names of the denoisers' original files → diffusers' names.

Where diffusers' own function handles models of every width, it is used; FLUX.1's, Chroma's and
Lumina 2's have the widths of the published models in them, so theirs are tables here. Weights are
views of the file; those that were fused are split along their first side.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from diffusers.loaders.single_file_utils import (
    convert_flux2_transformer_checkpoint_to_diffusers,
    convert_lumina2_to_diffusers,
    convert_sd3_transformer_checkpoint_to_diffusers,
    convert_z_image_transformer_checkpoint_to_diffusers,
)

from dream.engine.loading.diffusers_maps import convert_auraflow, convert_pixart, convert_sana

Tensors = dict[str, torch.Tensor]

_STREAM = (
    ("img", "", ("to_q", "to_k", "to_v")),
    ("txt", "_context", ("add_q_proj", "add_k_proj", "add_v_proj")),
)

_FLUX_ENDS: tuple[tuple[str, str], ...] = (
    ("time_in.in_layer.", "time_text_embed.timestep_embedder.linear_1."),
    ("time_in.out_layer.", "time_text_embed.timestep_embedder.linear_2."),
    ("vector_in.in_layer.", "time_text_embed.text_embedder.linear_1."),
    ("vector_in.out_layer.", "time_text_embed.text_embedder.linear_2."),
    ("guidance_in.in_layer.", "time_text_embed.guidance_embedder.linear_1."),
    ("guidance_in.out_layer.", "time_text_embed.guidance_embedder.linear_2."),
    ("txt_in.", "context_embedder."),
    ("img_in.", "x_embedder."),
    ("final_layer.linear.", "proj_out."),
)
"""The start of a name, and its start in diffusers: FluxTransformer2DModel."""

_FLUX_BLOCKS: tuple[tuple[str, str], ...] = (
    (r"double_blocks\.(\d+)\.img_mod\.lin\.", r"transformer_blocks.\1.norm1.linear."),
    (r"double_blocks\.(\d+)\.txt_mod\.lin\.", r"transformer_blocks.\1.norm1_context.linear."),
    (
        r"double_blocks\.(\d+)\.img_attn\.norm\.query_norm\.scale",
        r"transformer_blocks.\1.attn.norm_q.weight",
    ),
    (
        r"double_blocks\.(\d+)\.img_attn\.norm\.key_norm\.scale",
        r"transformer_blocks.\1.attn.norm_k.weight",
    ),
    (
        r"double_blocks\.(\d+)\.txt_attn\.norm\.query_norm\.scale",
        r"transformer_blocks.\1.attn.norm_added_q.weight",
    ),
    (
        r"double_blocks\.(\d+)\.txt_attn\.norm\.key_norm\.scale",
        r"transformer_blocks.\1.attn.norm_added_k.weight",
    ),
    (r"double_blocks\.(\d+)\.img_attn\.proj\.", r"transformer_blocks.\1.attn.to_out.0."),
    (r"double_blocks\.(\d+)\.txt_attn\.proj\.", r"transformer_blocks.\1.attn.to_add_out."),
    (r"double_blocks\.(\d+)\.img_mlp\.0\.", r"transformer_blocks.\1.ff.net.0.proj."),
    (r"double_blocks\.(\d+)\.img_mlp\.2\.", r"transformer_blocks.\1.ff.net.2."),
    (r"double_blocks\.(\d+)\.txt_mlp\.0\.", r"transformer_blocks.\1.ff_context.net.0.proj."),
    (r"double_blocks\.(\d+)\.txt_mlp\.2\.", r"transformer_blocks.\1.ff_context.net.2."),
    (r"single_blocks\.(\d+)\.modulation\.lin\.", r"single_transformer_blocks.\1.norm.linear."),
    (
        r"single_blocks\.(\d+)\.norm\.query_norm\.scale",
        r"single_transformer_blocks.\1.attn.norm_q.weight",
    ),
    (
        r"single_blocks\.(\d+)\.norm\.key_norm\.scale",
        r"single_transformer_blocks.\1.attn.norm_k.weight",
    ),
    (r"single_blocks\.(\d+)\.linear2\.", r"single_transformer_blocks.\1.proj_out."),
    (
        r"distilled_guidance_layer\.layers\.(\d+)\.in_layer\.",
        r"distilled_guidance_layer.layers.\1.linear_1.",
    ),
    (
        r"distilled_guidance_layer\.layers\.(\d+)\.out_layer\.",
        r"distilled_guidance_layer.layers.\1.linear_2.",
    ),
    (r"distilled_guidance_layer\.norms\.(\d+)\.scale", r"distilled_guidance_layer.norms.\1.weight"),
)
"""Patterns, and what they become: FluxTransformer2DModel and ChromaTransformer2DModel, from Black
Forest Labs' and lodestones' original code."""


def convert_names(kind: str, tensors: Tensors) -> Tensors:
    """A denoiser's weights by the names of its class in diffusers, `kind`; those that have these
    names already stay as they are. Raises KeyError for a weight that lacks."""
    convert, sign = CONVERTERS[kind]
    return convert(dict(tensors)) if any(name.startswith(sign) for name in tensors) else tensors


def _convert_flux(tensors: Tensors) -> Tensors:
    converted: Tensors = {}
    for name, tensor in tensors.items():
        if match := re.fullmatch(r"double_blocks\.(\d+)\.(img|txt)_attn\.qkv\.(\w+)", name):
            _split_qkv(converted, match, tensor)
        elif match := re.fullmatch(r"single_blocks\.(\d+)\.linear1\.(\w+)", name):
            width = tensors[f"single_blocks.{match[1]}.linear2.weight"].shape[0]
            parts = tensor.split([width, width, width, tensor.shape[0] - 3 * width])
            for part, weight in zip(
                ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"), parts, strict=True
            ):
                converted[f"single_transformer_blocks.{match[1]}.{part}.{match[2]}"] = weight
        elif name.startswith("final_layer.adaLN_modulation.1."):
            shift, scale = tensor.chunk(2)  # diffusers has them in the other order
            converted[f"norm_out.linear.{name.rpartition('.')[2]}"] = torch.cat([scale, shift])
        else:
            converted[_rename(name)] = tensor
    return converted


def _split_qkv(converted: Tensors, match: re.Match[str], tensor: torch.Tensor) -> None:
    number, stream, what = match.groups()
    names = next(names for start, _, names in _STREAM if start == stream)
    for part, weight in zip(names, tensor.chunk(3), strict=True):
        converted[f"transformer_blocks.{number}.attn.{part}.{what}"] = weight


def _rename(name: str) -> str:
    for start, new in _FLUX_ENDS:
        if name.startswith(start):
            return new + name[len(start) :]
    for pattern, new in _FLUX_BLOCKS:
        if match := re.match(pattern, name):
            return match.expand(new) + name[match.end() :]
    return name


def _convert_lumina(tensors: Tensors) -> Tensors:
    """diffusers' function splits attention at the published model's widths, so it is split here."""
    split: Tensors = {}
    for name, tensor in tensors.items():
        start, qkv, what = name.partition(".qkv.")
        if not qkv:
            split[name] = tensor
            continue
        queries = tensors[f"{start}.out.weight"].shape[1]
        keys = (tensor.shape[0] - queries) // 2
        for part, weight in zip("qkv", tensor.split([queries, keys, keys]), strict=True):
            split[f"{start}.to_{part}.{what}"] = weight
    converted: Tensors = convert_lumina2_to_diffusers(split)
    return converted


def _keep(tensors: Tensors) -> Tensors:
    return tensors


def _convert_qwen(tensors: Tensors) -> Tensors:
    """Qwen-Image's files have diffusers' names, but for a mark of Edit-2511 without a weight."""
    return {name: tensor for name, tensor in tensors.items() if name != QWEN_ZERO_TIME}


QWEN_ZERO_TIME = "__index_timestep_zero__"
"""The mark of ComfyUI's files of Qwen-Image-Edit-2511: reference pictures are at time zero."""

_KREA_NAMES: tuple[tuple[str, str], ...] = (
    (r"^first\.", "img_in."),
    (r"^tmlp\.0\.", "time_embed.linear_1."),
    (r"^tmlp\.2\.", "time_embed.linear_2."),
    (r"^tproj\.1\.", "time_mod_proj."),
    (r"^txtmlp\.0\.scale$", "txt_in.norm.weight"),
    (r"^txtmlp\.1\.", "txt_in.linear_1."),
    (r"^txtmlp\.3\.", "txt_in.linear_2."),
    (r"^last\.linear\.", "final_layer.linear."),
    (r"^last\.norm\.scale$", "final_layer.norm.weight"),
    (r"^last\.modulation\.lin$", "final_layer.scale_shift_table"),
    (r"^txtfusion\.", "text_fusion."),
    (r"^blocks\.", "transformer_blocks."),
    (r"\.attn\.w([qkv])\.", r".attn.to_\1."),
    (r"\.attn\.wo\.", ".attn.to_out.0."),
    (r"\.attn\.gate\.", ".attn.to_gate."),
    (r"\.attn\.qknorm\.([qk])norm\.scale$", r".attn.norm_\1.weight"),
    (r"\.mlp\.", ".ff."),
    (r"\.prenorm\.scale$", ".norm1.weight"),
    (r"\.postnorm\.scale$", ".norm2.weight"),
    (r"\.mod\.lin$", ".scale_shift_table"),
)
"""Patterns, and what they become, one after the other: Krea2Transformer2DModel, from Krea's
original code."""
_KREA_UNUSED = ("last.down.weight", "last.up.weight")
_KREA_TABLES = {"transformer_blocks": 6, "final_layer": 2}
"""Rows of a table of scales and shifts, which is flat in some files."""


def _convert_krea2(tensors: Tensors) -> Tensors:
    converted: Tensors = {}
    for name, tensor in tensors.items():
        if name in _KREA_UNUSED:
            continue
        for pattern, new in _KREA_NAMES:
            name = re.sub(pattern, new, name)
        if name.endswith(".scale_shift_table"):
            tensor = tensor.reshape(_KREA_TABLES[name.partition(".")[0]], -1)
        converted[name] = tensor
    return converted


Converter = Callable[[Tensors], Tensors]

CONVERTERS: Mapping[str, tuple[Converter, tuple[str, ...]]] = {
    "AuraFlowTransformer2DModel": (convert_auraflow, ("double_layers.",)),
    "ChromaTransformer2DModel": (_convert_flux, ("double_blocks.",)),
    "Flux2Transformer2DModel": (
        convert_flux2_transformer_checkpoint_to_diffusers,
        ("double_blocks.",),
    ),
    "FluxTransformer2DModel": (_convert_flux, ("double_blocks.",)),
    "HiDreamImageTransformer2DModel": (_keep, ()),  # its files have diffusers' names
    "Krea2Transformer2DModel": (_convert_krea2, ("txtfusion.",)),
    "Lumina2Transformer2DModel": (_convert_lumina, ("cap_embedder.",)),
    "PixArtTransformer2DModel": (convert_pixart, ("t_block.",)),
    "QwenImageTransformer2DModel": (_convert_qwen, (QWEN_ZERO_TIME,)),
    "SanaTransformer2DModel": (convert_sana, ("t_block.",)),
    "SD3Transformer2DModel": (convert_sd3_transformer_checkpoint_to_diffusers, ("joint_blocks.",)),
    "ZImageTransformer2DModel": (
        convert_z_image_transformer_checkpoint_to_diffusers,
        ("x_embedder.",),
    ),
}
"""By the class in diffusers: the function, and the start of a name that original files have."""
