"""The names of denoisers' weights in their original files, from those in diffusers: the inverse of
the tables in `engine.loading.key_maps`, for the families of `random_split_newer`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

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
    ("adaln_single.emb.resolution_embedder.linear_1.", "csize_embedder.mlp.0."),
    ("adaln_single.emb.resolution_embedder.linear_2.", "csize_embedder.mlp.2."),
    ("adaln_single.emb.aspect_ratio_embedder.linear_1.", "ar_embedder.mlp.0."),
    ("adaln_single.emb.aspect_ratio_embedder.linear_2.", "ar_embedder.mlp.2."),
    ("adaln_single.linear.", "t_block.1."),
    ("proj_out.", "final_layer.linear."),
    ("transformer_blocks.", "blocks."),
    (".attn1.to_out.0.", ".attn.proj."),
    (".attn2.to_out.0.", ".cross_attn.proj."),
    (".attn2.to_q.", ".cross_attn.q_linear."),
    (".ff.net.0.proj.", ".mlp.fc1."),
    (".ff.net.2.", ".mlp.fc2."),
)


def pixart(tensors: Tensors, side: int = 64, prompt: int = 300) -> Tensors:
    """Also what the original files have besides: positions of latents of that side, and an empty
    prompt."""
    width = tensors["scale_shift_table"].shape[1]
    words = tensors["caption_projection.linear_1.weight"].shape[1]
    named = {
        "pos_embed": torch.zeros(1, (side // 2) ** 2, width),
        "y_embedder.y_embedding": torch.zeros(prompt, words),
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


_SANA = (
    ("patch_embed.proj.", "x_embedder.proj."),
    ("caption_projection.linear_", "y_embedder.y_proj.fc"),
    ("caption_norm.", "attention_y_norm."),
    ("time_embed.emb.timestep_embedder.linear_1.", "t_embedder.mlp.0."),
    ("time_embed.emb.timestep_embedder.linear_2.", "t_embedder.mlp.2."),
    ("time_embed.linear.", "t_block.1."),
    ("proj_out.", "final_layer.linear."),
    ("transformer_blocks.", "blocks."),
    (".attn1.to_qkv.", ".attn.qkv."),
    (".attn2.to_kv.", ".cross_attn.kv_linear."),
    (".attn1.to_out.0.", ".attn.proj."),
    (".attn2.to_out.0.", ".cross_attn.proj."),
    (".attn2.to_q.", ".cross_attn.q_linear."),
    (".attn1.norm_q.", ".attn.q_norm."),
    (".attn1.norm_k.", ".attn.k_norm."),
    (".attn2.norm_q.", ".cross_attn.q_norm."),
    (".attn2.norm_k.", ".cross_attn.k_norm."),
    (".ff.conv_inverted.", ".mlp.inverted_conv.conv."),
    (".ff.conv_depth.", ".mlp.depth_conv.conv."),
    (".ff.conv_point.", ".mlp.point_conv.conv."),
)


def sana(tensors: Tensors) -> Tensors:
    width = tensors["scale_shift_table"].shape[1]
    words = tensors["caption_projection.linear_1.weight"].shape[1]
    named = {
        "pos_embed": torch.zeros(1, 32 * 32, width),
        "y_embedder.y_embedding": torch.zeros(300, words),
    }
    fused = {
        name: tensor
        for name, tensor in tensors.items()
        if not any(part in name for part in (".attn1.to_k.", ".attn1.to_v.", ".attn2.to_v."))
    }
    for name, tensor in fused.items():
        for first, rest, whole in (
            (".attn1.to_q.", (".attn1.to_k.", ".attn1.to_v."), ".attn1.to_qkv."),
            (".attn2.to_k.", (".attn2.to_v.",), ".attn2.to_kv."),
        ):
            if first in name:
                parts = [tensor, *(tensors[name.replace(first, part)] for part in rest)]
                name, tensor = name.replace(first, whole), torch.cat(parts)
        if name == "scale_shift_table":
            name = "final_layer.scale_shift_table"
        for new, old in _SANA:
            name = name.replace(new, old)
        named[name] = tensor
    return named


_DC_BLOCK = (
    ("attn.to_qkv_multiscale.0.proj_in.", "context_module.main.aggreg.0.0."),
    ("attn.to_qkv_multiscale.0.proj_out.", "context_module.main.aggreg.0.1."),
    ("attn.to_out.", "context_module.main.proj.conv."),
    ("attn.norm_out.", "context_module.main.proj.norm."),
    ("conv_out.conv_inverted.", "local_module.main.inverted_conv.conv."),
    ("conv_out.conv_depth.", "local_module.main.depth_conv.conv."),
    ("conv_out.conv_point.", "local_module.main.point_conv.conv."),
    ("conv_out.norm.", "local_module.main.point_conv.norm."),
    ("conv1.", "main.conv1.conv."),
    ("conv2.", "main.conv2.conv."),
    ("norm.", "main.conv2.norm."),
    ("conv.", "main.conv.conv."),
)
_DC_ENDS = {
    "encoder.conv_in.": "encoder.project_in.conv.",
    "encoder.conv_out.": "encoder.project_out.0.conv.",
    "decoder.conv_in.": "decoder.project_in.conv.",
    "decoder.norm_out.": "decoder.project_out.0.",
    "decoder.conv_out.": "decoder.project_out.2.conv.",
}


def deep_compression(tensors: Tensors) -> Tensors:
    """The names of Sana's VAE in MIT's code (efficientvit, models/efficientvit/dc_ae.py)."""
    named = {}
    for name, tensor in tensors.items():
        level = re.match(r"(encoder\.down|decoder\.up)_blocks\.(\d+)\.(\d+)\.", name)
        if level is None:
            start = next(start for start in _DC_ENDS if name.startswith(start))
            named[_DC_ENDS[start] + name.removeprefix(start)] = tensor
            continue
        rest = name[level.end() :]
        side = level[1].partition(".")[0]
        block = f"{side}.stages.{level[2]}.op_list.{level[3]}."
        if rest.startswith(("attn.to_k.", "attn.to_v.")):
            continue
        if rest == "attn.to_q.weight":
            parts = [tensors[name.replace(".to_q.", f".to_{part}.")] for part in "qkv"]
            named[f"{block}context_module.main.qkv.conv.weight"] = torch.cat(parts)[..., None, None]
            continue
        if rest == "attn.to_out.weight":
            tensor = tensor[..., None, None]
        new, old = next(pair for pair in _DC_BLOCK if rest.startswith(pair[0]))
        named[block + old + rest.removeprefix(new)] = tensor
    return named


ORIGINAL_NAMES: dict[str, Callable[[Tensors], Tensors]] = {
    "krea2": krea2,
    "auraflow": auraflow,
    "pixart": pixart,
    "pixart-alpha": partial(pixart, side=128, prompt=120),
    "sana": sana,
}
"""By the key of their family."""
