"""Denoisers whose original names diffusers converts, or which a few patterns rename: AuraFlow's,
PixArt's and Sana's. See `key_maps`."""

from __future__ import annotations

import re
from math import isqrt

import torch
from diffusers.loaders.single_file_utils import (
    convert_auraflow_transformer_checkpoint_to_diffusers,
    convert_sana_transformer_to_diffusers,
)

Tensors = dict[str, torch.Tensor]

_PIXART_NAMES: tuple[tuple[str, str], ...] = (
    (r"^x_embedder\.proj\.", "pos_embed.proj."),
    (r"^y_embedder\.y_proj\.fc([12])\.", r"caption_projection.linear_\1."),
    (r"^t_embedder\.mlp\.0\.", "adaln_single.emb.timestep_embedder.linear_1."),
    (r"^t_embedder\.mlp\.2\.", "adaln_single.emb.timestep_embedder.linear_2."),
    (r"^csize_embedder\.mlp\.0\.", "adaln_single.emb.resolution_embedder.linear_1."),
    (r"^csize_embedder\.mlp\.2\.", "adaln_single.emb.resolution_embedder.linear_2."),
    (r"^ar_embedder\.mlp\.0\.", "adaln_single.emb.aspect_ratio_embedder.linear_1."),
    (r"^ar_embedder\.mlp\.2\.", "adaln_single.emb.aspect_ratio_embedder.linear_2."),
    (r"^t_block\.1\.", "adaln_single.linear."),
    (r"^final_layer\.linear\.", "proj_out."),
    (r"^final_layer\.", ""),
    (r"^blocks\.", "transformer_blocks."),
    (r"\.attn\.proj\.", ".attn1.to_out.0."),
    (r"\.cross_attn\.q_linear\.", ".attn2.to_q."),
    (r"\.cross_attn\.proj\.", ".attn2.to_out.0."),
    (r"\.mlp\.fc1\.", ".ff.net.0.proj."),
    (r"\.mlp\.fc2\.", ".ff.net.2."),
)
"""Patterns, and what they become, one after the other: PixArtTransformer2DModel, from PixArt's
original code."""
_PIXART_FUSED = {
    ".attn.qkv.": (".attn1.to_q.", ".attn1.to_k.", ".attn1.to_v."),
    ".cross_attn.kv_linear.": (".attn2.to_k.", ".attn2.to_v."),
}
PIXART_POSITIONS = "pos_embed"
"""In PixArt's files: one for each patch of the images that it was trained on. They are computed."""
_PIXART_UNUSED = (PIXART_POSITIONS, "y_embedder.y_embedding")
"""Also the words of an empty prompt, which training needed."""


def pixart_positions(family: str, count: int) -> dict[str, float]:
    """What the number of these positions says about a transformer's configuration; as in diffusers'
    own conversion, the two families differ below 512 pixels."""
    side = 2 * isqrt(count)
    scale = side / 64 if family == "pixart" else max(side // 64, 1)
    return {"sample_size": side, "interpolation_scale": scale}


def convert_pixart(tensors: Tensors) -> Tensors:
    """PixArt's weights by the names of PixArtTransformer2DModel."""
    converted: Tensors = {}
    for name, tensor in tensors.items():
        if name in _PIXART_UNUSED:
            continue
        fused = next((part for part in _PIXART_FUSED if part in name), "")
        for pattern, new in _PIXART_NAMES:
            name = re.sub(pattern, new, name)
        parts = _PIXART_FUSED.get(fused, (fused,))
        for part, weight in zip(parts, tensor.chunk(len(parts)), strict=True):
            converted[name.replace(fused, part) if fused else name] = weight
    return converted


def convert_auraflow(tensors: Tensors) -> Tensors:
    """AuraFlow's weights by the names of AuraFlowTransformer2DModel. Raises KeyError for a weight
    that lacks."""
    left = dict(tensors)
    converted = convert_auraflow_transformer_checkpoint_to_diffusers(left)
    if missing := [name for name, tensor in converted.items() if tensor is None]:
        raise KeyError(missing[0])
    return {**converted, **left}  # what is left is not the model's, and is named


_SANA_NORMS: tuple[tuple[str, str], ...] = (
    (r"^blocks\.(\d+)\.attn\.([qk])_norm\.", r"transformer_blocks.\1.attn1.norm_\2."),
    (r"^blocks\.(\d+)\.cross_attn\.([qk])_norm\.", r"transformer_blocks.\1.attn2.norm_\2."),
)
"""Patterns, and what they become: norms of Sana 1.5, which diffusers' function does not know."""
_SANA_UNUSED = ("pos_embed", "y_embedder.y_embedding")
"""As in PixArt's files; diffusers' function needs them."""


def convert_sana(tensors: Tensors) -> Tensors:
    """Sana's weights by the names of SanaTransformer2DModel. Raises KeyError for a weight that
    lacks."""
    left = dict.fromkeys(_SANA_UNUSED, torch.empty(0)) | tensors
    converted = convert_sana_transformer_to_diffusers(left)
    for name, tensor in left.items():  # what is no norm is not the model's, and is named
        for pattern, new in _SANA_NORMS:
            name = re.sub(pattern, new, name)
        converted[name] = tensor
    named: Tensors = converted
    return named
