"""T2I-Adapters: their configuration, inferred from the shapes of their weights, and diffusers'
names for Tencent's.

Mou et al. 2023, arXiv:2302.08453. Tencent's layout counts the blocks of all levels through.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator
from typing import Any

from dream.catalogue.detect.control_family import T2I_INPUTS
from dream.engine.loading.config_from_shapes import Shapes, count_blocks

_PREFIX = "adapter."
_LIGHT = re.compile(r"body\.(\d+)\.body\.(\d+)\.(block[12]\..+)")
_FULL = re.compile(r"body\.(\d+)\.(block[12]|in_conv)\.(.+)")


def rename_t2i_adapter(names: Iterable[str]) -> dict[str, str]:
    """diffusers' names by Tencent's; names that are diffusers' already stay as they are."""
    names = tuple(names)
    if any(name.startswith(_PREFIX) for name in names):
        return {name: name for name in names}
    joins = [int(match[1]) for match in map(_FULL.match, names) if match and match[2] == "in_conv"]
    layers = min(filter(None, joins), default=0)  # the second level is wider than the first
    return {name: _PREFIX + _rename(name, layers) for name in names}


def _rename(name: str, layers: int) -> str:
    if match := _LIGHT.fullmatch(name):
        return f"body.{match[1]}.resnets.{match[2]}.{match[3]}"
    match = _FULL.fullmatch(name)
    if match is None or not layers or name.startswith("body.0.in_conv."):
        return name
    level, layer = divmod(int(match[1]), layers)
    if match[2] == "in_conv":
        return f"body.{level}.in_conv.{match[3]}"
    return f"body.{level}.resnets.{layer}.{match[2]}.{match[3]}"


def is_light(names: Iterable[str]) -> bool:
    """Whether these are the names of a light adapter, which has no first convolution."""
    return f"{_PREFIX}conv_in.weight" not in names


def infer_t2i_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of a T2IAdapter from its weights, by diffusers' names. Raises KeyError for
    a missing weight or an unknown number of channels."""
    if is_light(shapes):
        wide = "adapter.body.{}.out_conv.weight"
        inputs = shapes["adapter.body.0.in_conv.weight"].shape[1]
    else:
        wide = "adapter.body.{}.resnets.0.block1.weight"
        inputs = shapes["adapter.conv_in.weight"].shape[1]
    levels = count_blocks(shapes, wide)
    levels -= is_light(shapes)  # diffusers repeats the last of a light one's channels
    channels, side = T2I_INPUTS.get(inputs, (inputs // 64, 8))
    kind = "full_adapter_xl" if side == 16 else "full_adapter"
    block = "adapter.body.0.resnets.{}.block1.weight"
    return {
        "in_channels": channels,
        "channels": [shapes[wide.format(level)].shape[0] for level in range(levels)],
        "num_res_blocks": count_blocks(shapes, block),
        "downscale_factor": side,
        "adapter_type": "light_adapter" if is_light(shapes) else kind,
    }


def adds_to(config: Any, unet: Any, factor: int) -> bool:
    """Whether what an adapter computes has the channels and the sizes of the UNet's levels; both
    configurations are diffusers'. factor: pixels in a latent, along a side."""
    if "down_block_types" not in unet:
        return False
    widths = list(config.channels)
    side, is_wide = config.downscale_factor, config.adapter_type == "full_adapter_xl"
    if config.adapter_type == "light_adapter":
        widths.append(widths[-1])
    shrinks = [(0, 0, 1, 1)[level] if is_wide else level for level in range(min(4, len(widths)))]
    sizes = [(width, side << shrink) for width, shrink in zip(widths, shrinks, strict=False)]
    levels = list(_list_levels(unet, factor))
    return all(map(operator.eq, sizes, levels))  # a wide one has one more, for the middle


def _list_levels(unet: Any, factor: int) -> Iterator[tuple[int, int]]:
    """The channels of each level of a UNet, and the pixels in one place of it along a side, where
    diffusers adds to it: before it is halved if it attends to the text, else after that."""
    last = len(unet.down_block_types) - 1
    for level, kind in enumerate(unet.down_block_types):
        halved = "CrossAttn" not in kind and level < last
        yield unet.block_out_channels[level], factor << level + halved
