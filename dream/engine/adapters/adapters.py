"""Gives a loaded model the adapters that a recipe names, and takes away all others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dream.core.recipe import Recipe
from dream.engine.adapters.lora_file import LoraFile, get_stamp, open_lora
from dream.engine.adapters.weight_merge import MergedWeights, WeightedLora, get_key, merge

OPEN_FILES = 8
"""How many LoRA files stay open, so that a sweep of weights opens each once."""

DIGITS = 16
"""How many hex digits of a file's SHA-256 stand in the log."""


class Adapters:
    """Opens the files of adapters, and applies them."""

    def __init__(self, find_lora: Callable[[str], Path]) -> None:
        """find_lora: a name to its file; raises ModelError."""
        self._find_lora = find_lora
        self._files: OrderedDict[Path, LoraFile] = OrderedDict()

    def open_loras(self, recipe: Recipe) -> tuple[WeightedLora, ...]:
        """The recipe's LoRAs, open, in its order. Raises ModelError."""
        return tuple(
            WeightedLora(self._open(lora.name), lora.weight, lora.for_text)
            for lora in recipe.lora or ()
        )

    def close(self) -> None:
        """Close all files."""
        self._files.clear()

    def _open(self, name: str) -> LoraFile:
        path = self._find_lora(name)
        file = self._files.pop(path, None)
        if file is None or file.stamp != get_stamp(path):
            file = open_lora(name, path)
        self._files[path] = file
        while len(self._files) > OPEN_FILES:
            self._files.popitem(last=False)
        return file


def can_merge(state: MergedWeights, loras: tuple[WeightedLora, ...]) -> bool:
    """Whether the model can get these LoRAs; else it has to be loaded again first."""
    return state.is_reversible or state.key == get_key(loras)


def merge_loras(
    state: MergedWeights,
    loras: tuple[WeightedLora, ...],
    pipe: Any,
    model: str,
    offload_mode: str,
) -> dict[str, str]:
    """Merge the LoRAs, and return the facts that an image records: the beginning of the SHA-256 of
    each file, and all of it by name. Raises ModelError."""
    merge(state, loras, pipe, model, offload_mode)
    if not loras:
        return {}
    digests = [(lora.file.name, _digest(lora)) for lora in loras]
    short = ",".join(digest[:DIGITS] for _, digest in digests)
    return {"lora": short} | {f"lora {name}": digest for name, digest in digests}


def _digest(lora: WeightedLora) -> str:
    try:
        return lora.file.digest.result()
    except OSError:  # the file was removed after it was opened; the image is still good
        return "unknown"
