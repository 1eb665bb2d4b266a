"""diffusers' names for the weights of ControlNets for transformers, in the files of those that
trained them: Stability's for Stable Diffusion 3.5 large, XLabs' for FLUX.1, Alibaba's for Z-Image.

InstantX's, Shakker's and alimama's files have diffusers' names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch

from dream.engine.control.controlnet_config import rename_hint
from dream.engine.loading.config_from_shapes import Shapes
from dream.engine.loading.key_maps import convert_names

Tensors = dict[str, torch.Tensor]

_SD3_BLOCK = re.compile(r"(transformer_blocks\.\d+\.)(.+)\.(weight|bias)")
_SD3_PARTS = {
    "attn.proj": "attn.to_out.0",
    "mlp.fc1": "ff.net.0.proj",
    "mlp.fc2": "ff.net.2",
    "adaLN_modulation.1": "norm1.linear",
}
"""As in diffusers' script convert_sd3_controlnet_to_diffusers."""
_HINT = re.compile(r"input_hint_block\.(\d+)\.(.+)")
_REFINER = "control_noise_refiner."
_BEFORE = f"{_REFINER}0.before_proj.weight"
Z_IMAGE_CHANNELS = 16
"""Of the latents. Since version 2, the ControlNet sees more."""


def convert_transformer_control(family: str, weights: Mapping[str, torch.Tensor]) -> Tensors:
    """The weights by diffusers' names; those that have them already stay as they are."""
    convert = _CONVERTERS.get(family)
    return dict(weights) if convert is None else convert(dict(weights))


def _convert_sd3(weights: Tensors) -> Tensors:
    converted: Tensors = {}
    for name, tensor in weights.items():
        match = _SD3_BLOCK.fullmatch(name)
        block, part, leaf = match.groups() if match else ("", "", "")
        if part == "attn.qkv":
            for own, share in zip(("to_q", "to_k", "to_v"), tensor.chunk(3), strict=True):
                converted[f"{block}attn.{own}.{leaf}"] = share
        elif part in _SD3_PARTS:
            converted[f"{block}{_SD3_PARTS[part]}.{leaf}"] = tensor
        else:
            converted[name] = tensor
    return converted


def _convert_flux(weights: Tensors) -> Tensors:
    """XLabs' names: Black Forest Labs', and those of the layers that see the control image."""
    if not any(name.startswith("double_blocks.") for name in weights):
        return weights
    hints = [int(match[1]) for match in map(_HINT.fullmatch, weights) if match]
    converted: Tensors = {}
    for name, tensor in convert_names("FluxTransformer2DModel", weights).items():
        if match := _HINT.fullmatch(name):
            part = rename_hint(int(match[1]), max(hints))
            name = f"input_hint_block.{part}.{match[2]}"
        converted[name.replace("pos_embed_input.", "controlnet_x_embedder.")] = tensor
    return converted


def _convert_z_image(weights: Tensors) -> Tensors:
    """Version 2.0 was trained with its control layers in the place of the refiner's, which its file
    has, unused. Only that these begin with zeros tells it from 2.1, as in diffusers' loader."""
    if not is_second_z_image(weights) or has_refiner(weights):
        return weights
    return {name: tensor for name, tensor in weights.items() if not name.startswith(_REFINER)}


def is_second_z_image(shapes: Shapes) -> bool:
    """Whether these are a ControlNet's for Z-Image since version 2. Raises KeyError for a missing
    weight."""
    inputs: int = shapes["control_all_x_embedder.2-1.weight"].shape[1]
    return inputs > 4 * Z_IMAGE_CHANNELS


def has_refiner(weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether a refiner for the control image was trained: since version 2.1."""
    before = weights.get(_BEFORE)
    return before is not None and bool((before.float() != 0).any())


_CONVERTERS: Mapping[str, Callable[[Tensors], Tensors]] = {
    "sd3": _convert_sd3,
    "flux": _convert_flux,
    "z-image": _convert_z_image,
}
