"""Numbers of eight bits: float8 as it is, float8 and int8 with a scale for the weight or each row.

    number = stored · scale

ComfyUI: comfy/quant_ops.py; comfy_kitchen's `dequantize_per_tensor_fp8`, `dequantize_int8_simple`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dream.engine.loading.encoded_tensor import Codec, EncodedTensor


def _plain(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return parts[0]


def _scaled(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    stored, scale = parts
    return stored.to(torch.float32).reshape(len(stored), -1).mul_(scale)


def rotate(numbers: torch.Tensor, group: int) -> torch.Tensor:
    """Each group of so many numbers in a row, multiplied by the regular Hadamard matrix of that
    size, which is its own inverse: the Kronecker power of

        1  1  1 -1
        1  1 -1  1
        1 -1  1  1
       -1  1  1  1   / 2

    numbers: (rows, columns) of float32; group: a power of four. comfy_kitchen calls it ConvRot.
    """
    shape, step = numbers.shape, 1
    while step < group:
        four = numbers.reshape(-1, 4, step)
        numbers = (four.sum(1, keepdim=True) / 2).sub(four.flip(1))
        step *= 4
    return numbers.reshape(shape)


FLOAT8 = {
    torch.float8_e4m3fn: Codec("fp8", _plain, (torch.float8_e4m3fn,)),
    torch.float8_e5m2: Codec("fp8", _plain, (torch.float8_e5m2,)),
}
_SCALED = {
    stored: Codec(name, _scaled, (stored, torch.float32))
    for stored, name in (
        (torch.float8_e4m3fn, "fp8 scaled"),
        (torch.float8_e5m2, "fp8 scaled"),
        (torch.int8, "int8"),
    )
}
GROUPS = (4, 16, 64, 256, 1024)


def _rotated(group: int) -> Codec:
    def decode(parts: Sequence[torch.Tensor]) -> torch.Tensor:
        return rotate(_scaled(parts), group)

    return Codec("int8 convrot", decode, (torch.int8, torch.float32))


_ROTATED = {group: _rotated(group) for group in GROUPS}


def encode_plain(stored: torch.Tensor) -> EncodedTensor:
    """A weight in float8 without a scale."""
    return EncodedTensor(FLOAT8[stored.dtype], (stored,), stored.shape)


def encode_scaled(stored: torch.Tensor, scale: torch.Tensor, group: int = 0) -> EncodedTensor:
    """A weight in float8 or int8 with its scale or the scales of its rows; group: in how large
    groups its columns were rotated. Raises ValueError for other shapes or sizes."""
    rows = stored.shape[0] if stored.ndim else 1
    if scale.numel() not in (1, rows):
        raise ValueError(f"{scale.numel()} scales for {rows} rows")
    each = scale.to(torch.float32).reshape(-1, 1).expand(rows, 1)
    if not group:
        return EncodedTensor(_SCALED[stored.dtype], (stored, each), stored.shape)
    if group not in GROUPS or stored.ndim != 2 or stored.shape[1] % group:
        raise ValueError(f"groups of {group} in rows of {stored.shape[-1]}")
    return EncodedTensor(_ROTATED[group], (stored, each), stored.shape)
