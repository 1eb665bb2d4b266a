"""The text encoders in memory: one serves all models that use its file."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary


class EncoderKey(NamedTuple):
    """What a text encoder was loaded from, and how."""

    path: Path
    details: object


class SharedEncoders:
    """Text encoders by their key, as long as a model uses them."""

    def __init__(self) -> None:
        self._modules: WeakValueDictionary[EncoderKey, Any] = WeakValueDictionary()

    def get(self, key: EncoderKey, load: Callable[[], Any]) -> Any:
        """The text encoder of that key, loaded if it is not in memory."""
        module = self._modules.get(key)
        if module is None:
            module = self._modules[key] = load()
        return module

    def find(self, paths: Collection[Path]) -> list[Any]:
        """Those in memory from these files; whoever holds the list keeps them there."""
        return [module for key, module in list(self._modules.items()) if key.path in paths]

    def forget(self, modules: Collection[Any]) -> None:
        """Load these again for the next model, whoever still holds them."""
        for key, module in list(self._modules.items()):
            if any(module is one for one in modules):
                del self._modules[key]


def count_bytes(modules: Collection[Any]) -> int:
    """Bytes of the weights of modules."""
    return sum(weight.nbytes for module in modules for weight in module.parameters())
