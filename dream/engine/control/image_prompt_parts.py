"""Where an IP-Adapter acts in a denoiser, and how its file names that: in a UNet, and in FLUX.1.

Ye et al. 2023, arXiv:2308.06721; for FLUX.1 in the form of XLabs, as diffusers loads it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers.loaders.transformer_flux import FluxTransformer2DLoadersMixin
from diffusers.loaders.unet import UNet2DConditionLoadersMixin
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from diffusers.models.transformers.transformer_flux import FluxIPAdapterAttnProcessor
from torch import Tensor, nn

Tensors = Mapping[str, Tensor]
Pair = tuple[nn.Linear, nn.Linear]
"""Keys and values of one attention."""


class DenoiserParts(ABC):
    """The attentions of a denoiser that an IP-Adapter adds to."""

    @abstractmethod
    def build_projection(self, denoiser: Any, tensors: Tensors) -> Any:
        """From what the encoder says to tokens. Raises KeyError, RuntimeError, ValueError."""

    @abstractmethod
    def build_layers(self, denoiser: Any, tensors: Tensors) -> list[Pair]:
        """Keys and values of each attention, in order. Raises KeyError, ValueError."""

    @abstractmethod
    def find_attentions(self, denoiser: Any) -> list[tuple[str, Any]]:
        """The attentions with their names, in the order in which IP-Adapters count them."""

    @abstractmethod
    def measure(self, denoiser: Any, layer: Any) -> tuple[int, int]:
        """The inputs and outputs that keys and values of an attention must have."""

    @abstractmethod
    def make_processor(self, pair: Pair, weights: Sequence[float]) -> Any:
        """What computes an attention, with images of these weights."""


class _UnetParts(DenoiserParts):
    def build_projection(self, denoiser: Any, tensors: Tensors) -> Any:
        convert = UNet2DConditionLoadersMixin._convert_ip_adapter_image_proj_to_diffusers
        return convert(denoiser, _take(tensors, "image_proj."), low_cpu_mem_usage=False)

    def build_layers(self, denoiser: Any, tensors: Tensors) -> list[Pair]:
        table = _take(tensors, "ip_adapter.")
        return [
            _build_pair(table, f"{2 * n + 1}.to_k_ip", f"{2 * n + 1}.to_v_ip")
            for n, _ in enumerate(self.find_attentions(denoiser))
        ]

    def find_attentions(self, denoiser: Any) -> list[tuple[str, Any]]:
        return _find(denoiser, lambda name: name.endswith("attn2.processor"))

    def measure(self, denoiser: Any, layer: Any) -> tuple[int, int]:
        return layer.to_k.in_features, layer.to_k.out_features

    def make_processor(self, pair: Pair, weights: Sequence[float]) -> Any:
        return _fill(IPAdapterAttnProcessor2_0, pair, weights)


class _FluxParts(DenoiserParts):
    def build_projection(self, denoiser: Any, tensors: Tensors) -> Any:
        convert = FluxTransformer2DLoadersMixin._convert_ip_adapter_image_proj_to_diffusers
        table = _take(tensors, "ip_adapter_proj_model.") or _take(tensors, "image_proj.")
        if (projection := convert(denoiser, table, low_cpu_mem_usage=False)) is None:
            raise KeyError("proj.weight")
        return projection

    def build_layers(self, denoiser: Any, tensors: Tensors) -> list[Pair]:
        blocks, plain = _take(tensors, "double_blocks."), _take(tensors, "ip_adapter.")
        name = "{}.processor.ip_adapter_double_stream_{}_proj" if blocks else "{}.to_{}_ip"
        return [
            _build_pair(blocks or plain, name.format(n, "k"), name.format(n, "v"))
            for n, _ in enumerate(self.find_attentions(denoiser))
        ]

    def find_attentions(self, denoiser: Any) -> list[tuple[str, Any]]:
        return _find(denoiser, lambda name: name.startswith("transformer_blocks."))

    def measure(self, denoiser: Any, layer: Any) -> tuple[int, int]:
        return denoiser.config.joint_attention_dim, layer.inner_dim

    def make_processor(self, pair: Pair, weights: Sequence[float]) -> Any:
        return _fill(FluxIPAdapterAttnProcessor, pair, weights)


def find_parts(pipe: Any) -> tuple[Any, DenoiserParts] | None:
    """The denoiser of a pipeline, and where an IP-Adapter acts in it; None where none can."""
    if (unet := getattr(pipe, "unet", None)) is not None:
        return unet, _UnetParts()
    transformer = getattr(pipe, "transformer", None)
    if type(transformer).__name__ == "FluxTransformer2DModel":
        return transformer, _FluxParts()
    return None


def _find(denoiser: Any, accepts: Any) -> list[tuple[str, Any]]:
    names = [name.removesuffix(".processor") for name in denoiser.attn_processors if accepts(name)]
    return [(name, denoiser.get_submodule(name)) for name in names]


def _fill(kind: Any, pair: Pair, weights: Sequence[float]) -> Any:
    keys, values = pair
    with torch.device("meta"):
        processor = kind(
            keys.out_features,
            keys.in_features,
            num_tokens=[4] * len(weights),  # not read
            scale=list(weights),
        )
    processor.to_k_ip = nn.ModuleList([keys] * len(weights))
    processor.to_v_ip = nn.ModuleList([values] * len(weights))
    return processor


def _take(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _build_pair(table: Tensors, keys: str, values: str) -> Pair:
    return _build_linear(table, keys), _build_linear(table, values)


def _build_linear(table: Tensors, name: str) -> nn.Linear:
    weight, bias = table[f"{name}.weight"], table.get(f"{name}.bias")
    outputs, inputs = weight.shape
    with torch.device("meta"):
        linear = nn.Linear(inputs, outputs, bias=bias is not None)
    linear.weight = nn.Parameter(weight.clone(), requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias.clone(), requires_grad=False)
    return linear
