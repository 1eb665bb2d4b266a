"""A call of a network as a list of tensors, which is what other engines take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, keystr, tree_flatten_with_path, tree_unflatten

_NUMBERS = ("timestep", "guidance")
"""Arguments that may be numbers instead of tensors: they change from step to step."""


@dataclass(frozen=True)
class NetworkCall:
    """The arguments of one call, without those that are None and without `return_dict`."""

    names: tuple[str, ...]
    """Of all leaves of the arguments, as ['added_cond_kwargs']['text_embeds']."""
    leaves: tuple[Any, ...]
    spec: TreeSpec

    @classmethod
    def of(cls, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> NetworkCall:
        """The call of a module with these arguments. Raises TypeError if it does not take them."""
        takes = signature(type(module).forward)
        bound = takes.bind(module, *args, **kwargs).arguments
        extra = bound.pop("kwargs", {})
        bound = {**bound, **extra}
        bound = {
            name: torch.tensor(value)
            if name in _NUMBERS and isinstance(value, int | float)
            else value
            for name, value in list(bound.items())[1:]
            if value is not None and name != "return_dict"
        }
        found, spec = tree_flatten_with_path(bound)
        kept = [(keystr(path), leaf) for path, leaf in found]
        return cls(tuple(name for name, _ in kept), tuple(leaf for _, leaf in kept), spec)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors among the arguments, in order."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Tensor)]

    @property
    def layout(self) -> str:
        """The same for all calls that one converted network answers: the arguments' names, the
        tensors' types and ranks, and all other values."""
        return "; ".join(
            f"{n}: {_describe(leaf)}" for n, leaf in zip(self.names, self.leaves, strict=True)
        )

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the tensors."""
        return tuple(tuple(tensor.shape) for tensor in self.tensors)

    def arguments(self, tensors: Sequence[Tensor]) -> dict[str, Any]:
        """The call's arguments by name, with other tensors in place of its own."""
        others = iter(tensors)
        leaves = [next(others) if isinstance(leaf, Tensor) else leaf for leaf in self.leaves]
        arguments: dict[str, Any] = tree_unflatten(leaves, self.spec)
        return arguments


def _describe(leaf: Any) -> str:
    if not isinstance(leaf, Tensor):
        return repr(leaf)
    # A UNet halves its input three times, and says what to do about odd sides while it is traced.
    odd = " odd" if leaf.ndim == 4 and any(side % 8 for side in leaf.shape[2:]) else ""
    return f"{leaf.dtype} {leaf.ndim}{odd}"


class TensorsIn(nn.Module):
    """A module as one that takes a call's tensors, and returns its first result."""

    def __init__(self, module: nn.Module, call: NetworkCall) -> None:
        super().__init__()
        self.module = module
        self._call = call
        self._returns_dict = "return_dict" in signature(type(module).forward).parameters

    def forward(self, *tensors: Tensor) -> Tensor:
        """See the class."""
        arguments = self._call.arguments(tensors)
        if self._returns_dict:
            arguments["return_dict"] = False
        # The class's method: the instance's own may be another engine's.
        result = type(self.module).forward(self.module, **arguments)
        first: Tensor = result[0] if isinstance(result, tuple) else result
        return first
