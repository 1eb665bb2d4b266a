"""Hypernetworks of the AUTOMATIC1111 web UI: two small networks for each width, which change what
the keys and values of attention are computed from. Hooks apply them, so the model stays as it is.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dream.catalogue.detect.require import require_safe
from dream.core.errors import ModelError
from dream.core.file_names import get_file_stamp
from dream.core.plain_text import shorten_name
from dream.engine.adapters.lora_file import hash_in_background

_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": functional.relu,
    "leakyrelu": functional.leaky_relu,
    "elu": functional.elu,
    "swish": functional.hardswish,  # the web UI's name for it
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": functional.gelu,
    "mish": functional.mish,
    "selu": functional.selu,
    "celu": functional.celu,
    "silu": functional.silu,
    "hardswish": functional.hardswish,
    "hardtanh": functional.hardtanh,
    "hardsigmoid": functional.hardsigmoid,
    "relu6": functional.relu6,
    "softsign": functional.softsign,
    "softplus": functional.softplus,
    "tanhshrink": functional.tanhshrink,
}


_WIDEST = 64
"""How many times wider than its input a network may be inside; the web UI's have 1 to 4 times."""


@dataclass(frozen=True)
class _Layer:
    """One step of a network: a matrix and its bias, or the two of a layer norm."""

    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class Hypernetwork:
    """A hypernetwork's file, open."""

    name: str
    path: Path
    networks: Mapping[int, tuple[Sequence[_Layer], Sequence[_Layer]]]
    """For keys and for values, by the width of their input."""
    activation: str
    activate_output: bool
    """Whether the activation follows the last matrix too."""
    stamp: object
    digest: Future[str]
    """SHA-256 of the file."""

    def compute(self, layers: Sequence[_Layer], x: Tensor) -> Tensor:
        """What a network adds to its input; dropout is for training only."""
        matrices = sum(layer.weight.ndim == 2 for layer in layers)
        for layer in layers:
            weight = layer.weight.to(x)
            bias = None if layer.bias is None else layer.bias.to(x)
            if weight.ndim == 1:
                x = functional.layer_norm(x, weight.shape, weight, bias)
                continue
            matrices -= 1
            x = functional.linear(x, weight, bias)
            if matrices or self.activate_output:
                x = _ACTIVATIONS[self.activation](x)
        return x


def open_hypernetwork(name: str, path: Path) -> Hypernetwork:
    """Read a file. Raises ModelError for one that is not a hypernetwork, or would run code."""
    stamp = get_file_stamp(path)
    require_safe(path)
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
        networks = {
            width: (_read_layers(parts[0]), _read_layers(parts[1]))
            for width, parts in whole.items()
            if isinstance(width, int)
        }
        activation = whole.get("activation_func") or "linear"
        activate_output = bool(whole.get("activate_output", True))
    except (
        pickle.UnpicklingError,
        RuntimeError,
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
    ) as error:
        raise ModelError(f"{path} is not a hypernetwork") from error
    if why := _find_fault(networks, activation):
        raise ModelError(f"{path} is not a hypernetwork that dream knows: {why}")
    return Hypernetwork(
        name, path, networks, activation, activate_output, stamp, hash_in_background(path)
    )


def _find_fault(networks: Mapping[int, tuple[Sequence[_Layer], ...]], activation: Any) -> str:
    """What is wrong with a file's networks, before the middle of an image; else empty."""
    if not networks:
        return "it has no networks"
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        return f"its activation is {shorten_name(ascii(activation))}"
    for width, parts in networks.items():
        if not all(_fits(part, width) for part in parts):
            return f"the shapes of its network for width {width} do not fit each other"
    return ""


def _fits(layers: Sequence[_Layer], width: int) -> bool:
    """Whether each layer takes what the one before gives, and the last gives the width."""
    now, widest = width, _WIDEST * width
    for layer in layers:
        weight = layer.weight
        if weight.ndim not in (1, 2) or weight.shape[-1] != now or not weight.is_floating_point():
            return False
        now = weight.shape[0]
        if now > widest or (layer.bias is not None and layer.bias.shape != (now,)):
            return False
    return now == width and len(layers) > 0


def _read_layers(table: Mapping[str, Tensor]) -> tuple[_Layer, ...]:
    """The layers in their order. Old files call them `linear1` and `linear2`."""
    weights = {
        name.removesuffix(".weight"): tensor
        for name, tensor in table.items()
        if name.endswith(".weight")
    }
    order = sorted(weights, key=lambda name: int(name.rpartition(".")[2].removeprefix("linear")))
    return tuple(_Layer(weights[name], table.get(f"{name}.bias")) for name in order)


@contextmanager
def use_hypernetworks(
    pipe: Any, hypernetworks: Sequence[tuple[Hypernetwork, float]], model: str
) -> Iterator[None]:
    """The pipeline with these hypernetworks, each with its weight, in this order; undone at the
    end. Raises ModelError for one that fits no attention of the model."""
    with ExitStack() as undo:
        for hypernetwork, weight in hypernetworks:
            handles = list(_add_hooks(pipe, hypernetwork, weight)) if weight else []
            for handle in handles:
                undo.callback(handle.remove)
            if weight and not handles:
                widths = ", ".join(map(str, sorted(hypernetwork.networks)))
                raise ModelError(
                    f"the hypernetwork {hypernetwork.name} does not fit {model}: it is for widths"
                    f" {widths}",
                    "choose another --model",
                )
        yield


def _add_hooks(pipe: Any, hypernetwork: Hypernetwork, weight: float) -> Iterator[Any]:
    for name, layer in pipe.unet.named_modules() if hasattr(pipe, "unet") else ():
        side = {"to_k": 0, "to_v": 1}.get(name.rpartition(".")[2])
        if side is None or layer.in_features not in hypernetwork.networks:
            continue
        layers = hypernetwork.networks[layer.in_features][side]
        yield layer.register_forward_pre_hook(_adding(hypernetwork, layers, weight))


def _adding(hypernetwork: Hypernetwork, layers: Sequence[_Layer], weight: float) -> Any:
    def hook(module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, *rest = inputs
        return (x + hypernetwork.compute(layers, x) * weight, *rest)

    return hook
