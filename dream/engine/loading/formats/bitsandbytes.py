"""Numbers of four bits by bitsandbytes: one of sixteen values, times the scale of 64 numbers, which
is quantized to eight bits itself in most files.

    number = value[stored] · scale,   scale = nested value[stored] · nested scale + offset

Dettmers et al. 2023 (QLoRA), arXiv:2305.14314. The first number of a pair is in the upper bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from math import prod

import torch

from dream.catalogue.detect.four_bits import BLOCK, FORMATS, STATE, State, parse_state
from dream.engine.loading.encoded_tensor import Codec, EncodedTensor

Tensors = Mapping[str, torch.Tensor]


def list_encoded(tensors: Tensors) -> dict[str, State]:
    """The weights that are stored so, by name. Raises ValueError, LookupError and TypeError."""
    return {
        name.partition(STATE)[0]: parse_state(bytes(text.to(torch.uint8).flatten().tolist()))
        for name, text in tensors.items()
        if STATE in name
    }


def encode(name: str, state: State, tensors: Tensors) -> EncodedTensor:
    """A weight of these tensors. Raises LookupError, RuntimeError and ValueError."""
    values = tuple(tensors[f"{name}.quant_map"].float().tolist())
    if len(values) != 16 or state.format not in FORMATS:
        raise ValueError(f"{len(values)} values of four bits")
    scales = _scales(name, state, tensors)
    numbers = prod(state.shape)
    if (2 * tensors[name].nbytes, BLOCK * scales.numel()) != (numbers, numbers):
        raise ValueError(f"{tensors[name].nbytes} bytes for {numbers} numbers")
    whole_blocks = numbers // state.shape[0] % BLOCK == 0
    rows = state.shape[0] if whole_blocks else numbers // BLOCK
    packed = tensors[name].view(torch.uint8).reshape(rows, -1)
    return EncodedTensor(
        _codec(state.format, values), (packed, scales.reshape(rows, -1)), state.shape
    )


def _scales(name: str, state: State, tensors: Tensors) -> torch.Tensor:
    stored = tensors[f"{name}.absmax"].flatten()
    if stored.dtype != torch.uint8:
        return stored.to(torch.float32)
    values = tensors[f"{name}.nested_quant_map"].float()
    scales = tensors[f"{name}.nested_absmax"].float().repeat_interleave(state.nested_block)
    return values[stored.long()] * scales[: len(stored)] + state.nested_offset


@cache
def _codec(form: str, values: tuple[float, ...]) -> Codec:
    pairs = torch.tensor([[values[byte >> 4], values[byte & 15]] for byte in range(256)])

    def decode(parts: Sequence[torch.Tensor]) -> torch.Tensor:
        packed, scales = parts
        numbers = torch.nn.functional.embedding(packed.int(), pairs.to(packed.device))
        return numbers.reshape(*scales.shape, BLOCK).mul_(scales[..., None])

    return Codec(form, decode, (torch.uint8, torch.float32))
