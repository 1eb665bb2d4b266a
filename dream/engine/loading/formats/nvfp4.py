"""NVIDIA's numbers of four bits (sign, two bits of exponent, one of mantissa), sixteen with a
common scale in float8, and a scale for the whole weight.

    number = E2M1[stored] · (scale of the weight · scale of the block)

https://docs.nvidia.com/cuda/cublas/#d-block-scaling-factors-layout; comfy_kitchen's
`dequantize_nvfp4`, which has the first number of a pair in the upper bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dream.engine.loading.encoded_tensor import Codec, EncodedTensor

BLOCK = 16
"""Numbers with a common scale."""
_POSITIVE = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
E2M1 = (*_POSITIVE, *(-number for number in _POSITIVE))
"""The number of each four bits."""
_PAIRS = torch.tensor([[E2M1[byte >> 4], E2M1[byte & 15]] for byte in range(256)])
_TILE = (128, 4)
"""Rows and columns of the tiles that scales are stored in."""


def _decode(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    packed, blocks, whole = parts
    pairs = torch.nn.functional.embedding(packed.int(), _PAIRS.to(packed.device))
    scales = whole * blocks.to(torch.float32)
    return pairs.reshape(*scales.shape, BLOCK).mul_(scales[..., None])


_CODEC = Codec("nvfp4", _decode, (torch.uint8, torch.float8_e4m3fn, torch.float32))


def from_tiles(tiles: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Scales, (rows, columns), from cuBLAS' tiles of 128 x 4, in which rows 32 apart are
    neighbours. Raises RuntimeError where they are not as many."""
    high, wide = -(-rows // _TILE[0]), -(-columns // _TILE[1])
    laid = tiles.reshape(high, wide, 32, 4, 4).transpose(2, 3).reshape(high, wide, *_TILE)
    return laid.permute(0, 2, 1, 3).reshape(high * _TILE[0], wide * _TILE[1])[:rows, :columns]


def encode(packed: torch.Tensor, blocks: torch.Tensor, whole: torch.Tensor) -> EncodedTensor:
    """A weight in nvfp4. packed: (rows, columns / 2) of uint8; blocks: a scale for 16 numbers, in
    tiles; whole: one number. Raises ValueError and RuntimeError for other shapes."""
    rows, columns = packed.shape[0], 2 * packed.shape[1]
    if columns % BLOCK or whole.numel() != 1:
        raise ValueError(f"rows of {columns} numbers")
    scales = from_tiles(blocks.view(torch.uint8), rows, columns // BLOCK).contiguous()
    each = whole.to(torch.float32).reshape(1, 1).expand(rows, 1)
    return EncodedTensor(_CODEC, (packed, scales.view(torch.float8_e4m3fn), each), (rows, columns))
