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
from dream.engine.memory.device import Placement

LAYERS = (nn.Linear, nn.Conv2d)
"""Layers whose weight can stay as it is stored: a denoiser and a text encoder have nearly all of
their numbers in them. An embedding would be decoded whole for a few of its rows."""


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

    def right_inverse(self, _: torch.Tensor) -> list[torch.Tensor]:
        """The places of the parts, without memory; their bytes are loaded as any weight's."""
        return self.places

    def forward(self, *raw: torch.Tensor) -> torch.Tensor:
        """The weight, from the bytes of its parts."""
        parts = [
            part.view(dtype).reshape(len(part), *shape)
            for part, (dtype, shape) in zip(raw, self.forms, strict=True)
        ]
        out = torch.empty(
            self.shape, dtype=self.dtype, device=raw[0].device, memory_format=self.layout
        )
        return decode_into(self.codec, parts, out).to(self.like.dtype)


def keep_encoded(
    model: Any, weights: Mapping[str, torch.Tensor], placement: Placement
) -> dict[str, torch.Tensor]:
    """Prepare a model, built by `init_empty_weights`, for the encoded among its weights, by the
    names in the class. Returns the weights by the names they have then: the parts of those that
    stay as they are stored, and the others, unchanged."""
    placed: dict[str, torch.Tensor] = {}
    for name, weight in weights.items():
        owner, _, last = name.rpartition(".")
        layer = model.get_submodule(owner) if last == "weight" else None
        if layer is None or not stays_encoded(layer, weight, placement):
            placed[name] = weight
            continue
        for number, raw in enumerate(weight.raw_parts()):  # type: ignore[attr-defined]
            placed[f"{owner}.parametrizations.weight.original{number}"] = raw
        layer.weight.requires_grad_(False)
        decoded = DecodedWeight(weight, placement)  # type: ignore[arg-type]
        parametrize.register_parametrization(layer, "weight", decoded, unsafe=True)
    return placed


def stays_encoded(layer: Any, weight: torch.Tensor, placement: Placement) -> bool:
    """Whether a layer's weight stays as it is stored: where that saves memory."""
    return (
        isinstance(layer, LAYERS)
        and isinstance(weight, EncodedTensor)
        and weight.stored_size < weight.numel() * placement.dtype.itemsize
    )


def decode_all(model: Any) -> None:
    """Decode all weights of a model that are stored encoded, for good, as an export needs them."""
    for layer in list(model.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
            weight = layer._buffers.pop("weight")  # that is how torch leaves it
            layer.weight = nn.Parameter(weight, requires_grad=False)
