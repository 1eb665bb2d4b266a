"""The configuration of a ControlNet for Stable Diffusion 1, 2 or XL, inferred from the shapes of
its weights; and diffusers' names for the original ones.

Zhang et al. 2023, arXiv:2302.05543. The original layout counts the blocks of all levels through:
`input_blocks.N`; diffusers' has levels, and layers in each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dream.engine.loading.config_from_shapes import HEAD_DIM, SD1_NUM_HEADS, Shapes, count_blocks

_FIRST = "down_blocks.{}.resnets.0.conv1.weight"
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "middle_block_out.0": "controlnet_mid_block",
}
_BLOCK = re.compile(r"input_blocks\.(\d+)\.([01])\.(.+)")
_ZERO = re.compile(r"zero_convs\.(\d+)\.0\.(.+)")
_HINT = re.compile(r"input_hint_block\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"middle_block\.([012])\.(.+)")

SDXL_TIME_WIDTH = 256
"""Of each of the six numbers for SDXL's sizes, in every model that was published."""
_SDXL_NUMBERS = 6


def rename_controlnet(names: Iterable[str]) -> dict[str, str]:
    """diffusers' names by the original ones; names that the layout does not have stay as they
    are."""
    names = tuple(names)
    layers = _count_layers(names)
    hints = [int(match[1]) for match in map(_HINT.match, names) if match]
    last = max(hints, default=0)
    return {name: _rename(name, layers, last) for name in names}


def _rename(name: str, layers: int, last_hint: int) -> str:
    for old, new in _ENDS.items():
        if name.startswith(old + "."):
            return new + name.removeprefix(old)
    if match := _BLOCK.fullmatch(name):
        level, layer = divmod(int(match[1]) - 1, layers + 1)
        rest = match[3]
        if rest.startswith("op."):
            return f"down_blocks.{level}.downsamplers.0.conv.{rest.removeprefix('op.')}"
        if match[2] == "1":
            return f"down_blocks.{level}.attentions.{layer}.{rest}"
        return f"down_blocks.{level}.resnets.{layer}.{_rename_resnet(rest)}"
    if match := _MIDDLE.fullmatch(name):
        if match[1] == "1":
            return f"mid_block.attentions.0.{match[2]}"
        return f"mid_block.resnets.{int(match[1]) // 2}.{_rename_resnet(match[2])}"
    if match := _ZERO.fullmatch(name):
        return f"controlnet_down_blocks.{match[1]}.{match[2]}"
    if match := _HINT.fullmatch(name):
        return f"controlnet_cond_embedding.{rename_hint(int(match[1]), last_hint)}.{match[2]}"
    return name


def rename_hint(number: int, last: int) -> str:
    """diffusers' name of a convolution that the control image passes through; it has an even number
    in the original layout, from 0 to `last`."""
    return {0: "conv_in", last: "conv_out"}.get(number, f"blocks.{number // 2 - 1}")


def _rename_resnet(rest: str) -> str:
    for old, new in _RESNET.items():
        if rest.startswith(old + "."):
            return new + rest.removeprefix(old)
    return rest


def _count_layers(names: tuple[str, ...]) -> int:
    """Residual blocks per level: a level ends with a convolution that halves width and height."""
    starts = {name.split(".op.")[0] for name in names if ".0.op." in name}
    ends = [
        int(match[1]) for match in (re.match(r"input_blocks\.(\d+)", s) for s in starts) if match
    ]
    blocks = {match[1] for match in map(_BLOCK.match, names) if match}
    return min(ends) - 1 if ends else len(blocks)


def infer_controlnet_config(shapes: Shapes, family: str, time_width: int = 0) -> dict[str, Any]:
    """The configuration of a ControlNetModel or ControlNetUnionModel.

    shapes: of its weights, by diffusers' names; time_width: `addition_time_embed_dim` of the base
    model's UNet, 0 if unknown. Raises KeyError for a missing weight.
    """
    levels = count_blocks(shapes, _FIRST)
    if not levels:
        raise KeyError(_FIRST.format(0))
    places = [f"down_blocks.{level}.attentions.0" for level in range(levels)]
    middle = "mid_block.attentions.0"
    depths = [_depth(shapes, place) for place in places]
    deep = _depth(shapes, middle)
    attends = next((p for p in (middle, *places) if _depth(shapes, p)), "")
    channels = [shapes[_FIRST.format(level)].shape[0] for level in range(levels)]
    linear = bool(attends) and len(shapes[f"{attends}.proj_in.weight"].shape) == 2
    config = {
        "in_channels": shapes["conv_in.weight"].shape[1],
        "block_out_channels": channels,
        "layers_per_block": count_blocks(shapes, "down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": [f"{'CrossAttn' if depth else ''}DownBlock2D" for depth in depths],
        "transformer_layers_per_block": [depth or deep or 1 for depth in depths],
        "use_linear_projection": linear,
        "attention_head_dim": (
            [max(1, width // HEAD_DIM) for width in channels] if linear else SD1_NUM_HEADS
        ),
        # as in the base model: see `infer_unet_config`
        "upcast_attention": family == "sd2",
        **_conditioning(shapes),
        **_sizes(shapes, time_width),
    }
    if attends:
        text = f"{attends}.transformer_blocks.0.attn2.to_k.weight"
        config["cross_attention_dim"] = shapes[text].shape[1]
    if deep:
        config["transformer_layers_per_block"][-1] = deep
    else:
        config["mid_block_type"] = "UNetMidBlock2D"
    return config


def infer_union_config(shapes: Shapes) -> dict[str, Any]:
    """What a ControlNetUnionModel has besides: types of control, and a transformer over them.
    Raises KeyError for a missing weight."""
    types, width = shapes["task_embedding"].shape
    layer = "transformer_layes.{}.ln_1.weight"  # spelled so in the files
    return {
        "num_control_type": types,
        "num_trans_channel": width,
        "num_trans_layer": count_blocks(shapes, layer),
        "num_proj_channel": shapes["spatial_ch_projs.weight"].shape[0],
        "addition_time_embed_dim": shapes["control_add_embedding.linear_1.weight"].shape[1]
        // types,
    }


def _conditioning(shapes: Shapes) -> dict[str, Any]:
    """The convolutions that the control image passes through: each pair keeps, then widens."""
    first = shapes["controlnet_cond_embedding.conv_in.weight"].shape
    block = "controlnet_cond_embedding.blocks.{}.weight"
    many = count_blocks(shapes, block)
    wider = [shapes[block.format(n)].shape[0] for n in range(1, many, 2)]
    return {
        "conditioning_channels": first[1],
        "conditioning_embedding_out_channels": [first[0], *wider],
    }


def _sizes(shapes: Shapes, time_width: int) -> dict[str, Any]:
    """SDXL is conditioned on the image's sizes too."""
    name = "add_embedding.linear_1.weight"
    if name not in shapes:
        return {}
    return {
        "addition_embed_type": "text_time",
        "projection_class_embeddings_input_dim": shapes[name].shape[1],
        "addition_time_embed_dim": time_width or SDXL_TIME_WIDTH,
    }


def _depth(shapes: Shapes, place: str) -> int:
    return count_blocks(shapes, f"{place}.transformer_blocks.{{}}.norm1.weight")
