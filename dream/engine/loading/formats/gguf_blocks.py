"""GGUF's blocks of quantized numbers, decoded by diffusers' functions in float32: the same bits as
llama.cpp's own package has, which a test compares."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from dream.catalogue.detect.gguf_types import BlockType
from dream.engine.loading.encoded_tensor import Codec, EncodedTensor


@cache
def codec_of(kind: BlockType) -> Codec:
    """How a type is decoded. Raises KeyError for one that is not supported."""
    function = _decoders()[kind.name]

    def decode(parts: Sequence[torch.Tensor]) -> torch.Tensor:
        blocks = parts[0].reshape(-1, kind.size)
        numbers: torch.Tensor = function(blocks, kind.numbers, kind.size, torch.float32)
        return numbers

    return Codec(kind.name, decode, (torch.uint8,))


@cache
def _decoders() -> dict[str, Any]:
    # Imported late: it imports the gguf package, and few models need it.
    from diffusers.quantizers.gguf.utils import dequantize_functions

    return {kind.name: function for kind, function in dequantize_functions.items()}


def encode(data: torch.Tensor, kind: BlockType, shape: Sequence[int]) -> EncodedTensor:
    """A weight of quantized blocks. data: its bytes, of uint8; shape: its own, whose rows may not
    be whole blocks (ComfyUI-GGUF's `orig_shape`). Raises KeyError and RuntimeError."""
    rows = shape[0] if shape else 1
    numbers = data.numel() // kind.size * kind.numbers
    if numbers % max(1, rows) or numbers // max(1, rows) % kind.numbers:
        rows = data.numel() // kind.size
    return EncodedTensor(codec_of(kind), (data.view(rows, -1),), shape)
