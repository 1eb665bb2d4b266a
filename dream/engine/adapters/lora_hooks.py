"""Adds a LoRA to a layer's output instead of its weight, where the weight cannot be changed: it is
quantized, or comes to the GPU only when the layer runs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dream.engine.adapters.layer_kinds import get_scale
from dream.engine.adapters.layer_names import Leaves
from dream.engine.adapters.layer_shapes import UnsupportedLayer, check_shapes

_OFFLOADED_LAYERS = ("group", "sequential")
"""The offload modes that move each layer's weights by themselves."""
_HALF = 2
"""Bytes of the smallest number that weights are merged in."""


def must_hook(layer: nn.Module, offload_mode: str) -> bool:
    """Whether a LoRA for this layer has to be added to its output."""
    weight = layer._parameters.get("weight")
    if weight is None:  # decoded whenever it is read: see `loading.stored_weights`
        return True
    quantized = not weight.is_floating_point() or weight.element_size() < _HALF
    return quantized or weight.is_meta or offload_mode in _OFFLOADED_LAYERS


def check_hook_shapes(layer: nn.Module, leaves: Leaves) -> None:
    """Raises UnsupportedLayer for tensors of other shapes than the layer's weight has where it is
    neither packed nor elsewhere."""
    sides: tuple[int, ...] = ()
    if isinstance(layer, nn.Conv2d):
        sides = layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size
    elif isinstance(layer, nn.Linear):
        sides = layer.out_features, layer.in_features
    if sides:
        check_shapes(leaves, torch.empty(sides, device="meta"))


def add_hook(layer: nn.Module, leaves: Leaves, weight: float) -> Any:
    """Add a LoRA to the layer's output; returns the hook's handle, whose `remove` undoes it. Raises
    UnsupportedLayer for anything but a LoRA of a linear layer or a convolution. Of
    `leaves`, `check_hook_shapes` has checked the shapes."""
    if set(leaves) - {"up", "down", "alpha", "scalar"} or not {"up", "down"} <= set(leaves):
        raise UnsupportedLayer(f"it contains {', '.join(sorted(leaves))}")
    scale = get_scale(leaves) * weight
    up, down = leaves["up"], leaves["down"]
    if isinstance(layer, nn.Conv2d) and layer.groups == 1:
        run = _for_convolution(layer, up, down)
    elif isinstance(layer, nn.Linear):
        run = _for_linear(up.flatten(1), down.flatten(1))
    else:
        raise UnsupportedLayer(f"it is for a {type(layer).__name__}")

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        added: Tensor = output + run(inputs[0]).to(output) * scale
        return added

    return layer.register_forward_hook(hook)


def _for_linear(up: Tensor, down: Tensor) -> Any:
    def run(x: Tensor) -> Tensor:
        return functional.linear(functional.linear(x, down.to(x)), up.to(x))

    return run


def _for_convolution(layer: nn.Conv2d, up: Tensor, down: Tensor) -> Any:
    up = up.reshape(len(up), -1, 1, 1)
    down = down.reshape(len(down), -1, *layer.kernel_size)
    settings: dict[str, Any] = {
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
    }

    def run(x: Tensor) -> Tensor:
        return torch.conv2d(torch.conv2d(x, down.to(x), **settings), up.to(x))

    return run
