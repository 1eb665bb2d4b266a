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


_AURAFLOW = (
    ("time_step_proj.linear_1.", "t_embedder.mlp.0."),
    ("time_step_proj.linear_2.", "t_embedder.mlp.2."),
    ("context_embedder.", "cond_seq_linear."),
    ("pos_embed.pos_embed", "positional_encoding"),
    ("pos_embed.proj.", "init_x_linear."),
    ("norm_out.linear.", "modF.1."),
    ("proj_out.", "final_linear."),
    (".linear_1.", ".c_fc1."),
    (".linear_2.", ".c_fc2."),
    (".out_projection.", ".c_proj."),
)
_AURAFLOW_DOUBLE = (
    ("joint_transformer_blocks.", "double_layers."),
    (".ff_context.", ".mlpC."),
    (".ff.", ".mlpX."),
    (".norm1_context.linear.", ".modC.1."),
    (".norm1.linear.", ".modX.1."),
    (".attn.to_add_out.", ".attn.w1o."),
    (".attn.to_out.0.", ".attn.w2o."),
    (".attn.to_", ".attn.w2"),
    (".attn.add_q_proj.", ".attn.w1q."),
    (".attn.add_k_proj.", ".attn.w1k."),
    (".attn.add_v_proj.", ".attn.w1v."),
)
_AURAFLOW_SINGLE = (
    ("single_transformer_blocks.", "single_layers."),
    (".ff.", ".mlp."),
    (".norm1.linear.", ".modCX.1."),
    (".attn.to_out.0.", ".attn.w1o."),
    (".attn.to_", ".attn.w1"),
)


def auraflow(tensors: Tensors) -> Tensors:
    named = {}
    for name, tensor in tensors.items():
        if name.startswith("norm_out."):
            tensor = torch.cat([*reversed(tensor.chunk(2))])
        blocks = _AURAFLOW_SINGLE if name.startswith("single") else _AURAFLOW_DOUBLE
        for new, old in (*_AURAFLOW, *blocks):
            name = name.replace(new, old)
        named[name] = tensor
    return named


_PIXART = (
    ("pos_embed.proj.", "x_embedder.proj."),
    ("caption_projection.linear_", "y_embedder.y_proj.fc"),
    ("adaln_single.emb.timestep_embedder.linear_1.", "t_embedder.mlp.0."),
    ("adaln_single.emb.timestep_embedder.linear_2.", "t_embedder.mlp.2."),
    ("adaln_single.linear.", "t_block.1."),
    ("proj_out.", "final_layer.linear."),
    ("transformer_blocks.", "blocks."),
    (".attn1.to_out.0.", ".attn.proj."),
    (".attn2.to_out.0.", ".cross_attn.proj."),
    (".attn2.to_q.", ".cross_attn.q_linear."),
    (".ff.net.0.proj.", ".mlp.fc1."),
    (".ff.net.2.", ".mlp.fc2."),
)


def pixart(tensors: Tensors) -> Tensors:
    """Also what the original files have besides: positions of 64 latents, and an empty prompt."""
    width = tensors["scale_shift_table"].shape[1]
    words = tensors["caption_projection.linear_1.weight"].shape[1]
    named = {
        "pos_embed": torch.zeros(1, 32 * 32, width),
        "y_embedder.y_embedding": torch.zeros(300, words),
    }
    for name, tensor in tensors.items():
        for first, rest, old in (
            (".attn1.to_q.", (".attn1.to_k.", ".attn1.to_v."), ".attn.qkv."),
            (".attn2.to_k.", (".attn2.to_v.",), ".cross_attn.kv_linear."),
        ):
            if any(part in name for part in rest):
                break
            if first in name:
                parts = [tensor, *(tensors[name.replace(first, part)] for part in rest)]
                name, tensor = name.replace(first, old), torch.cat(parts)
        else:
            if name == "scale_shift_table":
                name = "final_layer.scale_shift_table"
            for new, old in _PIXART:
                name = name.replace(new, old)
            named[name] = tensor
    return named


ORIGINAL_NAMES: dict[str, Callable[[Tensors], Tensors]] = {
    "krea2": krea2,
    "auraflow": auraflow,
    "pixart": pixart,
}
"""By the key of their family."""
