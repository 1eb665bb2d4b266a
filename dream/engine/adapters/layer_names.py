"""Splits the tensor names of LoRA files into a layer's name and what the tensor is for it.

The spellings are those of kohya's trainer, PEFT, diffusers (old and new), LyCORIS, OneTrainer and
ComfyUI. The name of the layer itself is looked up in `layer_places`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch

Leaves = dict[str, torch.Tensor]
"""The tensors for one layer, by what they are for: "down", "up", "alpha" …"""

_SPELLINGS = {
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_mid.weight": "mid",
    "lora.down.weight": "down",
    "lora.up.weight": "up",
    "lora_linear_layer.down.weight": "down",
    "lora_linear_layer.up.weight": "up",
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora_A.default.weight": "down",
    "lora_B.default.weight": "up",
    "lora_B.bias": "up_bias",
    "lora_up.bias": "up_bias",
    "lora_magnitude_vector": "magnitude",
    "lora_magnitude_vector.weight": "magnitude",
    "lora_magnitude_vector.default.weight": "magnitude",
    "a1.weight": "glora_a1",
    "a2.weight": "glora_a2",
    "b1.weight": "glora_b1",
    "b2.weight": "glora_b2",
    "weight": "ia3",
} | {
    name: name
    for name in (
        *("alpha", "dora_scale", "scalar", "diff", "diff_b", "w_norm", "b_norm", "on_input"),
        *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
        *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
        *("oft_blocks", "oft_diag", "rescale"),
    )
}
"""The end of a tensor's name → what the tensor is."""

_LONGEST = max(name.count(".") for name in _SPELLINGS) + 1
_PROCESSOR = re.compile(
    r"(?P<layer>.+?)\.(?:processor\.)?(?P<projection>to_[qkv]|to_out)_lora\.(?P<side>down|up)\.weight"
)
"""diffusers' names before 0.17."""


class SplitName(NamedTuple):
    """The parts of a tensor's name."""

    layer: str
    leaf: str
    """What the tensor is; empty if its ending is not known."""


def split_name(name: str) -> SplitName:
    """Split the name of one tensor."""
    if old := _PROCESSOR.fullmatch(name):
        projection = "to_out.0" if old["projection"] == "to_out" else old["projection"]
        return SplitName(f"{old['layer']}.{projection}", old["side"])
    parts = name.split(".")
    for count in range(min(_LONGEST, len(parts) - 1), 0, -1):
        leaf = _SPELLINGS.get(".".join(parts[-count:]))
        if leaf:
            return SplitName(".".join(parts[:-count]), leaf)
    return SplitName(name, "")


def group_by_layer(
    tensors: Mapping[str, torch.Tensor],
) -> tuple[dict[str, Leaves], tuple[str, ...]]:
    """The tensors by layer and leaf, and the names whose ending is not known. A `weight` without
    an `on_input` beside it is not of a known kind."""
    layers: dict[str, Leaves] = {}
    names: dict[tuple[str, str], str] = {}
    unknown: list[str] = []
    for name, tensor in tensors.items():
        layer, leaf = split_name(name)
        if not leaf:
            unknown.append(name)
            continue
        layers.setdefault(layer, {})[leaf] = tensor
        names[layer, leaf] = name
    for layer, leaves in list(layers.items()):
        if "ia3" in leaves and "on_input" not in leaves:
            unknown.append(names[layer, "ia3"])
            del leaves["ia3"]
        if not leaves:
            del layers[layer]
    return layers, tuple(unknown)
