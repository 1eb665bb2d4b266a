"""Control-LoRAs: ControlNets that are stored as differences from the base model's own weights.

Stability's format: weights by the original names; `up` and `down` instead of `weight` where only a
difference of low rank was trained; what is not in the file is the base model's weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.core.errors import ModelError
from dream.engine.control.controlnet_config import infer_controlnet_config

_MARK = "lora_controlnet"
_SHARED = ("conv_in.", "time_embedding.", "add_embedding.", "down_blocks.", "mid_block.")
"""What a ControlNet copies from the UNet."""
_FROM_UNET = (
    *("down_block_types", "transformer_layers_per_block", "attention_head_dim"),
    *("num_attention_heads", "norm_num_groups", "norm_eps", "act_fn", "flip_sin_to_cos"),
    *("freq_shift", "upcast_attention", "resnet_time_scale_shift", "downsample_padding"),
)


def complete_control_lora(
    file: Mapping[str, Tensor], unet: Any, path: Path
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of the ControlNet by diffusers' names, and its configuration.

    file: the tensors by diffusers' names, with `up` and `down`; unet: the base model's
    UNet2DConditionModel. Raises ModelError for a base model of other shapes.
    """
    if unet is None:
        raise ModelError(f"{path} is a control-LoRA, which needs the model that it is for")
    weights = {name: weight for name, weight in _base_weights(unet, path)}
    used = {_MARK}
    for name in weights:
        stem = name.removesuffix("weight")
        if f"{stem}up" in file:
            weights[name] = _add(weights[name], file, stem, path)
            used |= {f"{stem}up", f"{stem}down"}
    weights |= {name: tensor for name, tensor in file.items() if name not in used}
    config = infer_controlnet_config(weights, "")
    config |= {name: unet.config[name] for name in _FROM_UNET if name in unet.config}
    config["addition_time_embed_dim"] = unet.config.addition_time_embed_dim
    return weights, config


def _base_weights(unet: Any, path: Path) -> list[tuple[str, Tensor]]:
    """The weights that ControlNets copy; quantized ones are decoded."""
    found: list[tuple[str, Tensor]] = []
    for place, module in unet.named_modules():
        for leaf in ("weight", "bias"):
            name = f"{place}.{leaf}"
            value = getattr(module, leaf, None) if name.startswith(_SHARED) else None
            if isinstance(value, Tensor):
                if value.is_meta:
                    raise ModelError(
                        f"{path} is a control-LoRA, which needs the model in memory",
                        "choose another --low_memory, or a ControlNet",
                    )
                found.append((name, value.detach()))
    return found


def _add(base: Tensor, file: Mapping[str, Tensor], stem: str, path: Path) -> Tensor:
    """The weight plus a product of low rank, computed in float32."""
    up, down = file[f"{stem}up"].float().flatten(1), file.get(f"{stem}down")
    if down is None:
        raise ModelError(f"{path}: missing {stem}down")
    product = up @ down.float().flatten(1) if up.shape[1] == len(down) else torch.empty(0)
    if product.numel() != base.numel():
        raise ModelError(
            f"{path} does not fit the model: {stem}weight has another shape",
            "it is for another model",
        )
    return (base.float().cpu() + product.reshape(base.shape)).to(base.dtype)
