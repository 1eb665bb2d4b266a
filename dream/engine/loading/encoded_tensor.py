"""EncodedTensor: a weight in the number format of its file, which behaves like its decoded numbers.

Functions that rename, split and join weights work on it as on any tensor: whole rows stay as they
are stored; every other operation decodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch.utils._pytree import tree_map

CHUNK = 2**19
"""Numbers decoded at a time: in float32 they fit into a processor's cache. Measured, four times as
fast as whole weights."""


@dataclass(frozen=True)
class Codec:
    """How the numbers of a weight are stored. Rows are independent of each other."""

    name: str
    """As users call it: "fp8", "Q4_K" …"""
    decode: Callable[[Sequence[torch.Tensor]], torch.Tensor]
    """The numbers of some rows, in float32 or a type that holds them exactly; takes the parts of
    these rows, and returns as many rows, in any shape."""
    dtypes: tuple[torch.dtype, ...]
    """Of the parts. Each part has a row for each row of the weight, or for each block."""


class EncodedTensor(torch.Tensor):
    """Shape, and dtype (float32) of the numbers; `parts` are what is stored, see `Codec`."""

    codec: Codec
    parts: tuple[torch.Tensor, ...]

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, codec: Codec, parts: Sequence[torch.Tensor], shape: Sequence[int]) -> Any:
        """`parts` have one number of rows: the weight's own, or any that divides its numbers."""
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls, tuple(shape), dtype=torch.float32, device=parts[0].device
        )
        wrapper.codec = codec
        wrapper.parts = tuple(parts)
        return wrapper

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"EncodedTensor({self.codec.name}, {tuple(self.shape)})"

    @property
    def stored_size(self) -> int:
        """Bytes of the parts."""
        return sum(part.nbytes for part in self.parts)

    def raw_parts(self) -> tuple[torch.Tensor, ...]:
        """The parts as bytes, (rows, bytes of a row) each."""
        return tuple(as_bytes(part) for part in self.parts)

    def decode_into(self, out: torch.Tensor) -> torch.Tensor:
        """Write the numbers into `out`, of the same shape, rounded once; returns it."""
        return decode_into(self.codec, self.parts, out)

    def decoded(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The numbers, as a plain tensor."""
        return self.decode_into(torch.empty(self.shape, dtype=dtype, device=self.device))

    @property
    def _has_rows(self) -> bool:
        return self.ndim > 0 and self.parts[0].shape[0] == self.shape[0]

    def take_rows(self, chosen: Callable[[torch.Tensor], torch.Tensor]) -> EncodedTensor | None:
        """The rows that `chosen` takes from each part; None where rows are not stored apart."""
        if not self._has_rows:
            return None
        parts = [chosen(part) for part in self.parts]
        shape = (parts[0].shape[0], *self.shape[1:])
        return EncodedTensor(self.codec, parts, shape)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """torch calls this for every operation on such tensors."""
        operation = _OPERATIONS.get(func.overloadpacket)
        if operation is not None and (result := operation(*args, **(kwargs or {}))) is not None:
            return result
        return func(*tree_map(_decode, tuple(args)), **tree_map(_decode, dict(kwargs or {})))


def decode_into(codec: Codec, parts: Sequence[torch.Tensor], out: torch.Tensor) -> torch.Tensor:
    """Decode some rows at a time into `out`, of the weight's shape; returns it."""
    rows = parts[0].shape[0]
    whole = out
    if rows != (out.shape[0] if out.ndim else 1):
        out = out if out.is_contiguous() else torch.empty_like(out, memory_format=_CONTIGUOUS)
        flat = out.view(rows, -1)
    else:
        flat = out
    many = max(1, CHUNK // max(1, prod(out.shape) // max(1, rows)))
    for row in range(0, rows, many):
        some = flat[row : row + many]
        some.copy_(codec.decode([part[row : row + many] for part in parts]).reshape(some.shape))
    return whole if out is whole else whole.copy_(out)


_CONTIGUOUS = torch.contiguous_format


def as_bytes(part: torch.Tensor) -> torch.Tensor:
    """A part, (rows, …), as (rows, bytes)."""
    rows = part.reshape(part.shape[0], -1)
    return rows.contiguous().view(torch.uint8) if rows.dtype != torch.uint8 else rows


def _decode(value: Any) -> Any:
    return value.decoded() if isinstance(value, EncodedTensor) else value


def _detach(tensor: EncodedTensor) -> EncodedTensor:
    return EncodedTensor(tensor.codec, tensor.parts, tensor.shape)


def _slice(
    tensor: EncodedTensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> EncodedTensor | None:
    if dim not in (0, -tensor.ndim):
        return None
    return tensor.take_rows(lambda part: part[start:end:step])


def _split(
    tensor: EncodedTensor, sizes: int | list[int], dim: int = 0
) -> list[EncodedTensor] | None:
    if dim not in (0, -tensor.ndim) or not tensor._has_rows:
        return None
    pieces = zip(*(part.split(sizes) for part in tensor.parts), strict=True)
    return [
        EncodedTensor(tensor.codec, parts, (parts[0].shape[0], *tensor.shape[1:]))
        for parts in pieces
    ]


def _cat(tensors: Sequence[Any], dim: int = 0) -> EncodedTensor | None:
    first = tensors[0]
    same = all(
        isinstance(t, EncodedTensor) and t._has_rows and t.codec == first.codec for t in tensors
    )
    if not same or dim not in (0, -first.ndim):
        return None
    shape = (sum(t.shape[0] for t in tensors), *first.shape[1:])
    parts = [torch.cat(some) for some in zip(*(t.parts for t in tensors), strict=True)]
    return EncodedTensor(first.codec, parts, shape)


def _index(tensor: EncodedTensor, dim: int, index: torch.Tensor) -> EncodedTensor | None:
    if dim not in (0, -tensor.ndim):
        return None
    return tensor.take_rows(lambda part: part[index])


_aten = torch.ops.aten
_OPERATIONS: Mapping[Any, Callable[..., Any]] = {
    _aten.detach: _detach,
    _aten.alias: _detach,
    _aten.slice: _slice,
    _aten.split: _split,
    _aten.split_with_sizes: _split,
    _aten.cat: _cat,
    _aten.index_select: _index,
}
"""The operations that can leave rows as they are stored; each returns None where it cannot."""
