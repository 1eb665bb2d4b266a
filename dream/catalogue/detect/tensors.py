"""TensorHeader: a tensor's data type and shape, as read from a header."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple

from dream.catalogue.detect.gguf_types import QUANTIZED

_MAX_ELEMENTS = 2**63
"""Limit of the number of elements in a tensor."""
_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
_FOUR_BITS = ("NVFP4", "BNB4")
_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def parse_tensor(dtype: object, shape: Iterable[Any]) -> TensorHeader:
    """Validate a tensor's data type and shape. Raises ValueError, TypeError, OverflowError."""
    sides = tuple(map(int, shape))
    valid = len(sides) <= 64 and min(sides, default=0) >= 0 and prod(sides) < _MAX_ELEMENTS
    if not (valid and isinstance(dtype, str)):
        raise ValueError("a tensor has an invalid shape or data type")
    return TensorHeader(dtype, sides)


class TensorHeader(NamedTuple):
    """Data type, in safetensors' spelling ("F32", "BF16" …), and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return _BYTES.get(self.dtype, 1)

    @property
    def size(self) -> int:
        """Bytes of the tensor as it is stored; of four bits with the scales of its blocks."""
        numbers = prod(self.shape)
        if self.dtype in QUANTIZED:
            return int(numbers * QUANTIZED[self.dtype].bits / 8)
        return numbers * 9 // 16 if self.dtype in _FOUR_BITS else numbers * self.itemsize

    @property
    def precision(self) -> str:
        """The data type in torch's spelling: "float32", "float16", "bfloat16", "float8" …"""
        return _NAMES.get(self.dtype, "float8" if self.dtype.startswith("F8") else "integer")
