"""The names of denoisers' weights in their original files, from those in diffusers: the inverse of
the tables in `engine.loading.key_maps`, for the families of `random_split_newer`."""

from __future__ import annotations

from collections.abc import Callable

import torch

Tensors = dict[str, torch.Tensor]

_KREA = (
    ("img_in.", "first."),
    ("time_embed.linear_1.", "tmlp.0."),
    ("time_embed.linear_2.", "tmlp.2."),
    ("time_mod_proj.", "tproj.1."),
    ("txt_in.norm.weight", "txtmlp.0.scale"),
    ("txt_in.linear_1.", "txtmlp.1."),
    ("txt_in.linear_2.", "txtmlp.3."),
    ("text_fusion.", "txtfusion."),
    ("final_layer.linear.", "last.linear."),
    ("final_layer.norm.weight", "last.norm.scale"),
    ("final_layer.scale_shift_table", "last.modulation.lin"),
    ("transformer_blocks.", "blocks."),
    (".attn.to_out.0.", ".attn.wo."),
    (".attn.to_gate.", ".attn.gate."),
    (".attn.norm_q.weight", ".attn.qknorm.qnorm.scale"),
    (".attn.norm_k.weight", ".attn.qknorm.knorm.scale"),
    (".attn.to_", ".attn.w"),
    (".ff.", ".mlp."),
    (".norm1.weight", ".prenorm.scale"),
    (".norm2.weight", ".postnorm.scale"),
    (".scale_shift_table", ".mod.lin"),
)


def krea2(tensors: Tensors) -> Tensors:
    named = {}
    for name, tensor in tensors.items():
        for new, old in _KREA:
            name = name.replace(new, old)
        named[name] = tensor.flatten() if name.endswith(".mod.lin") else tensor
    return named


ORIGINAL_NAMES: dict[str, Callable[[Tensors], Tensors]] = {
    "krea2": krea2,
}
"""By the key of their family."""
