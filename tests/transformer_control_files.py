"""The weights of ControlNets for transformers as their trainers' files have them: the inverse of
`dream.engine.control.transformer_names`."""

from __future__ import annotations

import re
from typing import Any

import torch

from tests.split_files import original_flux

Tensors = dict[str, torch.Tensor]

_STABILITY = {
    "attn.to_out.0.": "attn.proj.",
    "ff.net.0.proj.": "mlp.fc1.",
    "ff.net.2.": "mlp.fc2.",
    "norm1.linear.": "adaLN_modulation.1.",
}


def stability_file(net: Any) -> Tensors:
    """A SD3ControlNetModel as Stability's for Stable Diffusion 3.5 large are stored."""
    weights: Tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    result: Tensors = {}
    for name, tensor in weights.items():
        if match := re.fullmatch(r"(.+\.attn\.)to_q\.(\w+)", name):
            parts = [weights[f"{match[1]}to_{part}.{match[2]}"] for part in "qkv"]
            result[f"{match[1]}qkv.{match[2]}"] = torch.cat(parts)
        elif not re.search(r"\.attn\.to_[kv]\.", name):
            for new, old in _STABILITY.items():
                name = name.replace(new, old)
            result[name] = tensor
    return result


def xlabs_file(net: Any) -> Tensors:
    """A FluxControlNetModel as XLabs' are stored."""
    weights: Tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    result: Tensors = {}
    last = 2 * (1 + sum(name.startswith("input_hint_block.blocks.") for name in weights) // 2)
    for name, tensor in original_flux(weights).items():
        if match := re.fullmatch(
            r"input_hint_block\.(?:(conv_in|conv_out)|blocks\.(\d+))\.(\w+)", name
        ):
            ends = {"conv_in": 0, "conv_out": last}
            number = ends[match[1]] if match[1] else 2 * int(match[2]) + 2
            name = f"input_hint_block.{number}.{match[3]}"
        result[name.replace("controlnet_x_embedder.", "pos_embed_input.")] = tensor
    return result


def z_image_file(net: Any) -> Tensors:
    """A ZImageControlNetModel as Alibaba's are stored: those of version 2.0 have a refiner that was
    not trained."""
    weights: Tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    if net.config.add_control_noise_refiner != "control_layers":
        return weights
    for number in range(net.config.n_refiner_layers):
        for name, tensor in list(weights.items()):
            start = f"control_layers.{number}."
            if name.startswith(start):
                unused = torch.zeros_like(tensor) if "_proj." in name else tensor.clone()
                weights[f"control_noise_refiner.{number}.{name.removeprefix(start)}"] = unused
    return weights


def blockwise_file(blocks: int, inputs: int, width: int) -> Tensors:
    """A ControlNet that has learnt nothing, as DiffSynth's for Qwen-Image are stored."""
    generator = torch.Generator().manual_seed(6)
    shapes = {"img_in.weight": (width, inputs), "img_in.bias": (width,)}
    for number in range(blocks):
        start = f"controlnet_blocks.{number}."
        shapes |= {f"{start}{norm}.weight": (width,) for norm in ("x_rms", "y_rms")}
        shapes |= {
            f"{start}{part}.weight": (width, width) for part in ("input_proj", "output_proj")
        }
        shapes |= {f"{start}{part}.bias": (width,) for part in ("input_proj", "output_proj")}
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def add_by_hand(
    tensors: Tensors, number: int, states: torch.Tensor, condition: torch.Tensor
) -> torch.Tensor:
    """What such a ControlNet adds to a block's states, (b, n, width), for latents in patches,
    (n, inputs)."""
    linear = torch.nn.functional.linear

    def scale(values: torch.Tensor, norm: str) -> torch.Tensor:
        power = values.float().pow(2).mean(-1, keepdim=True)
        return (
            values
            * torch.rsqrt(power + 1e-6)
            * tensors[f"controlnet_blocks.{number}.{norm}.weight"]
        )

    def project(values: torch.Tensor, part: str) -> torch.Tensor:
        start = f"controlnet_blocks.{number}.{part}."
        return linear(values, tensors[f"{start}weight"], tensors[f"{start}bias"])

    embedded = linear(condition[None], tensors["img_in.weight"], tensors["img_in.bias"])
    joined = project(scale(states, "x_rms") + scale(embedded, "y_rms"), "input_proj")
    return project(torch.nn.functional.gelu(joined), "output_proj")
