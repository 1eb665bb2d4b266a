"""The values of `--quantize`. `engine.loading.quantize` computes them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

NO_QUANTIZATION = "none"


class Quantization(NamedTuple):
    """How a model's layers are quantized."""

    title: str
    bits: float
    """Of a number in memory, with its share of the scales."""
    group: int
    """Numbers with a common scale; a layer whose rows are not whole groups is left as it is."""


QUANTIZATIONS: Mapping[str, Quantization] = MappingProxyType(
    {
        "fp8": Quantization("float8 (e4m3fn), like diffusers' layerwise casting", 8, 1),
        "int8": Quantization("GGUF Q8_0: 8 bits, one scale per 32 weights", 8.5, 32),
        "int4": Quantization("GGUF Q4_0: 4 bits, one scale per 32 weights", 4.5, 32),
    }
)
"""By the value in the line and in the log, which are the same on every machine."""
