"""Joins quantized weights in safetensors files with their scales to encoded tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dream.catalogue.detect.four_bits import find_owner
from dream.catalogue.detect.number_formats import (
    CONFIG,
    GLOBAL_SCALE,
    IGNORED,
    MARK,
    SCALES,
    WEIGHT,
)
from dream.core.errors import ModelError, summarize
from dream.core.plain_text import shorten_name
from dream.engine.loading.formats import bitsandbytes, fp8_and_int8, nvfp4

CONFIGS = "_quantization_metadata"
"""Metadata key of the configurations of all weights, in newer files of ComfyUI."""
_CONFIG_LIMIT = 10_000
"""Maximum bytes of a weight's configuration."""
_FORMATS = ("float8_e4m3fn", "float8_e5m2", "int8_tensorwise", "nvfp4", "")
"""ComfyUI's names of the formats that are read; "" for files without configuration."""

_BREAKS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""The exceptions of damaged configurations and shapes."""

Tensors = Mapping[str, torch.Tensor]


def join_scales(
    tensors: Tensors, metadata: Mapping[str, str], path: Path
) -> dict[str, torch.Tensor]:
    """The tensors of a file, its quantized weights encoded (see `EncodedTensor`), under the names
    that unquantized weights have. Raises ModelError for formats and shapes that are not known."""
    weights: dict[str, torch.Tensor] = {}
    parts = {name for name in tensors if _is_part(name, tensors)}
    name = CONFIGS
    try:
        configs = json.loads(metadata.get(CONFIGS, "{}")).get("layers", {})
        states = bitsandbytes.list_encoded(tensors)
        for name in tensors:
            if name in states:
                weights[name] = bitsandbytes.encode(name, states[name], tensors)
            elif name not in parts and find_owner(name, states) is None:
                weights[name] = _joined(name, tensors, configs)
    except _BREAKS as error:
        raise ModelError(
            f"{path}: the quantized {shorten_name(name)} cannot be decoded: {summarize(error)}",
            "use a bf16, fp8 or GGUF file of this model",
        ) from error
    return weights


def _is_part(name: str, tensors: Tensors) -> bool:
    owner, _, last = name.rpartition(".")
    if last == MARK:
        return True
    return last in (*SCALES, GLOBAL_SCALE, *IGNORED) and f"{owner}.{WEIGHT}" in tensors


def _joined(name: str, tensors: Tensors, configs: Mapping[str, Any]) -> torch.Tensor:
    tensor = tensors[name]
    owner, _, last = name.rpartition(".")
    scale = next((tensors[s] for x in SCALES if (s := f"{owner}.{x}") in tensors), None)
    if last != WEIGHT or scale is None:
        plain = tensor.dtype not in fp8_and_int8.FLOAT8 or not tensor.ndim
        return tensor if plain else fp8_and_int8.encode_plain(tensor)
    config = configs.get(owner) or _config(tensors.get(f"{owner}.{CONFIG}"))
    if (form := config.get("format", "")) not in _FORMATS:
        raise ValueError(f"the format {str(form)[:40]!r} is not supported")
    if tensor.dtype == torch.uint8:
        return nvfp4.encode(tensor, scale, tensors[f"{owner}.{GLOBAL_SCALE}"])
    group = int(config.get("convrot_groupsize", 256)) if config.get("convrot") else 0
    return fp8_and_int8.encode_scaled(tensor, scale, group)


def _config(text: torch.Tensor | None) -> dict[str, Any]:
    """The configuration of a weight, JSON in a tensor of bytes; empty if there is none."""
    if text is None:
        return {}
    if text.numel() > _CONFIG_LIMIT:
        raise ValueError(f"its configuration has {text.numel():,} bytes")
    config: dict[str, Any] = json.loads(bytes(text.to(torch.uint8).flatten().tolist()))
    return config
