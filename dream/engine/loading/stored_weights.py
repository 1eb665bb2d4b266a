"""Weights that stay in memory in the number format of their file, and are decoded at each use.

Torch's own mechanism for computed weights, `torch.nn.utils.parametrize`: a layer's `weight` is
decoded whenever it is read, so that every library that uses the layer sees ordinary numbers; what
is stored are bytes, which no `.to(dtype)` changes, and which offloading moves as any weight.

diffusers' GGUFLinear decodes in the compute dtype, which gives other numbers than llama.cpp, and
its layerwise casting knows no scales; torchao's kernels give other numbers on other processors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from dream.engine.loading.encoded_tensor import Codec, EncodedTensor, decode_into
from dream.engine.loading.quantize import LAYERS, BytesToEncode, is_quantized, plan
from dream.engine.memory.device import Placement


class DecodedWeight(nn.Module):
    """Computes a layer's weight from the parts of an EncodedTensor."""

    like: torch.Tensor

    def __init__(self, weight: EncodedTensor, placement: Placement) -> None:
        super().__init__()
        self.codec: Codec = weight.codec
        self.shape = tuple(weight.shape)
        self.dtype = placement.dtype
        # Follows `.to(dtype)`, as when a VAE is decoded in float32.
        self.register_buffer("like", torch.empty(0, dtype=placement.dtype), persistent=False)
        kernels = placement.device == "cpu" and weight.ndim == 4  # as in `weight_copy.allocate_for`
        self.layout = torch.channels_last if kernels else torch.contiguous_format
        self.forms = [(part.dtype, tuple(part.shape[1:])) for part in weight.parts]
        self.places = [torch.empty_like(raw, device="meta") for raw in weight.raw_parts()]
        self.is_held = False
        self.held: torch.Tensor | None = None

    def hold_during(self, caller: nn.Module) -> None:
        """Decode once for each call of a module that reads the weight several times."""
        caller.register_forward_pre_hook(lambda *_: self._hold(True))
        caller.register_forward_hook(lambda *_: self._hold(False), always_call=True)

    def _hold(self, is_held: bool) -> None:
        self.is_held, self.held = is_held, None

    def right_inverse(self, _: torch.Tensor) -> list[torch.Tensor]:
        """The places of the parts, without memory; their bytes are loaded as any weight's."""
        return self.places

    def forward(self, *raw: torch.Tensor) -> torch.Tensor:
        """The weight, from the bytes of its parts."""
        if self.held is not None:
            return self.held
        parts = [
            part.view(dtype).reshape(len(part), *shape)
            for part, (dtype, shape) in zip(raw, self.forms, strict=True)
        ]
        out = torch.empty(
            self.shape, dtype=self.dtype, device=raw[0].device, memory_format=self.layout
        )
        decoded = decode_into(self.codec, parts, out).to(self.like.dtype)
        if self.is_held:
            self.held = decoded
        return decoded


Placed = dict[str, torch.Tensor | BytesToEncode]


def keep_encoded(model: Any, weights: Mapping[str, torch.Tensor], placement: Placement) -> Placed:
    """Prepare a model, built by `init_empty_weights`, for the encoded among its weights, by the
    names in the class, and for those that the placement quantizes. Returns the weights by the names
    they have then: the parts of those that stay as they are stored, and the others, unchanged."""
    placed: Placed = {}
    for name, weight in weights.items():
        owner, _, last = name.rpartition(".")
        layer = model.get_submodule(owner) if last == "weight" else None
        if is_quantized(model, name, weight, placement):
            encoded, placed[f"{owner}.{_PART}0"] = plan(weight, placement.quantize)
        elif isinstance(weight, EncodedTensor) and stays_encoded(layer, weight, placement):
            encoded = weight
            for number, part in enumerate(weight.raw_parts()):
                placed[f"{owner}.{_PART}{number}"] = part
        else:
            placed[name] = weight
            continue
        _decode_when_read(layer, encoded, placement)
    _decode_once_for_t5(model)
    return placed


_PART = "parametrizations.weight.original"
"""torch's names for the parts of a computed weight, before their numbers."""


def _decode_when_read(layer: Any, encoded: EncodedTensor, placement: Placement) -> None:
    layer.weight.requires_grad_(False)
    decoded = DecodedWeight(encoded, placement)
    parametrize.register_parametrization(layer, "weight", decoded, unsafe=True)


def quantize_loaded(model: Any, placement: Placement) -> None:
    """Quantize a model that a library has loaded, layer by layer, where the placement says so."""
    for name, layer in list(model.named_modules()):
        weight = getattr(layer, "weight", None) if isinstance(layer, LAYERS) else None
        if weight is None or not is_quantized(model, f"{name}.weight", weight, placement):
            continue
        encoded, raw = plan(weight.data, placement.quantize)
        part = raw.write(torch.empty(raw.shape, dtype=torch.uint8, device=weight.device))
        _decode_when_read(layer, encoded, placement)
        layer.parametrizations.weight.original0 = nn.Parameter(part, requires_grad=False)
    _decode_once_for_t5(model)


def _decode_once_for_t5(model: Any) -> None:
    """T5 reads `wo.weight` several times to compare its dtype, before it multiplies."""
    for module in model.modules():
        layer = getattr(module, "wo", None)
        if isinstance(layer, LAYERS) and parametrize.is_parametrized(layer, "weight"):
            parametrizations: Any = layer.parametrizations
            parametrizations.weight[0].hold_during(module)


def stays_encoded(layer: Any, weight: EncodedTensor, placement: Placement) -> bool:
    """Whether a layer's weight stays as it is stored: where that saves memory. Nearly all numbers
    of a denoiser and a text encoder are in layers; a table would be decoded whole for a few of its
    rows."""
    return (
        isinstance(layer, LAYERS) and weight.stored_size < weight.numel() * placement.dtype.itemsize
    )


def decode_all(model: Any) -> None:
    """Decode all weights of a model that are stored encoded, for good, as an export needs them."""
    for layer in list(model.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
            weight = layer._buffers.pop("weight")  # that is how torch leaves it
            layer.weight = nn.Parameter(weight, requires_grad=False)
