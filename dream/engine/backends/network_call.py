"""A call of a network as a list of tensors, which is what other engines take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import (
    TreeSpec,
    keystr,
    tree_flatten,
    tree_flatten_with_path,
    tree_unflatten,
    treespec_dumps,
    treespec_loads,
)

from dream.engine.sampling.call_slots import replace_forward

_NUMBERS = ("timestep", "guidance")
"""Arguments that may be numbers instead of tensors: they change from step to step."""


@dataclass(frozen=True)
class NetworkCall:
    """The arguments of one call, without those that are None and without `return_dict`."""

    names: tuple[str, ...]
    """Of all leaves of the arguments, as ['added_cond_kwargs']['text_embeds']."""
    leaves: tuple[Any, ...]
    spec: TreeSpec
    layers: tuple[str, ...] = ()
    """Parts of the module whose results are wanted too, by name."""

    @classmethod
    def of(
        cls,
        module: nn.Module,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        layers: Sequence[str] = (),
    ) -> NetworkCall:
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
        names = tuple(name for name, _ in kept)
        return cls(names, tuple(leaf for _, leaf in kept), spec, tuple(layers))

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors among the arguments, in order."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Tensor)]

    @property
    def layout(self) -> str:
        """The same for all calls that one converted network answers: the arguments' names, the
        tensors' types and ranks, and all other values."""
        inputs = [
            f"{n}: {_describe(leaf)}" for n, leaf in zip(self.names, self.leaves, strict=True)
        ]
        return "; ".join([*inputs, *self.layers])

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
    """A module as one that takes a call's tensors, and returns its first result; with the results
    of the call's layers, all tensors in one tuple."""

    def __init__(self, module: nn.Module, call: NetworkCall) -> None:
        super().__init__()
        self.module = module
        self._call = call
        self._returns_dict = "return_dict" in signature(type(module).forward).parameters
        self.structure = ""
        """Of the last call's results, as text: see `unflatten`."""

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        """See the class."""
        arguments = self._call.arguments(tensors)
        if self._returns_dict:
            arguments["return_dict"] = False
        found: dict[str, Any] = {}
        with ExitStack() as undo:
            for name in self._call.layers:
                layer = self.module.get_submodule(name)
                undo.enter_context(replace_forward(layer, _Recorded(layer.forward, found, name)))
            # The class's method: the instance's own may be another engine's.
            result = type(self.module).forward(self.module, **arguments)
        first: Tensor = result[0] if isinstance(result, tuple) else result
        if not found:
            return first
        leaves, spec = tree_flatten([first, *(found[name] for name in self._call.layers)])
        self.structure = treespec_dumps(spec)
        return tuple(leaves)


class _Recorded:
    """Takes the place of a layer's `forward`, and keeps what it returns."""

    def __init__(self, forward: Any, found: dict[str, Any], name: str) -> None:
        self._forward, self._found, self._name = forward, found, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._found[self._name] = self._forward(*args, **kwargs)
        return result


def unflatten(tensors: Sequence[Tensor], structure: str) -> list[Any]:
    """The result of a call, and that of each of its layers. structure: TensorsIn's; empty without
    layers."""
    if not structure:
        return list(tensors)
    results: list[Any] = tree_unflatten(list(tensors), treespec_loads(structure))
    return results
