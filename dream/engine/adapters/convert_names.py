"""Converts the original tensor names of a family's LoRAs to diffusers' own, by its functions, and
finds what these leave out: they drop tensors that they do not know, with a warning at most."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dream.engine.adapters.layer_names import split_name
from dream.engine.adapters.layer_places import flatten_name

_REPEATED = re.compile(r".+[._](?:qkv|out)\.lora\.(?:down|up)\.weight")
"""Of Z-Image's LoRAs that have each projection, and once more all of them in one."""


class Converted(NamedTuple):
    """A file's tensors under other names."""

    tensors: dict[str, Tensor]
    left: dict[str, Tensor]
    """Those of which nothing is in `tensors`, by their own names."""


class _Traced(Tensor):
    """A tensor that knows from which of the file's tensors it was computed."""

    sources: frozenset[str]

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        used = [*_find_tensors(args), *_find_tensors((kwargs or {}).values())]
        sources = frozenset[str]().union(*map(get_sources, used))
        name = getattr(func, "__name__", "")
        writes = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
        for tensor in _find_tensors([result, args[0]] if writes else [result]):
            tensor.sources = sources  # type: ignore[attr-defined]
        return result


def get_sources(tensor: Tensor) -> frozenset[str]:
    """The names of the file's tensors that a traced one was computed from."""
    return getattr(tensor, "sources", frozenset())


def _find_tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _find_tensors(value)


def convert_names(tensors: Mapping[str, Tensor], pipeline: Any) -> Converted | None:
    """The tensors by diffusers' names, converted by the pipeline's class, which knows the original
    names of its family; None if it does not know these. Not for Stable Diffusion 1, 2 and XL: for
    them diffusers drops what it does not know."""
    convert = getattr(type(pipeline), "lora_state_dict", None)
    dropped = any(name.endswith("dora_scale") for name in tensors)
    if convert is None or hasattr(pipeline, "unet") or dropped:
        return None
    try:
        converted = convert({name: _trace(name, tensor) for name, tensor in tensors.items()})
    except (ValueError, KeyError, IndexError, RuntimeError, TypeError, AttributeError):
        return None
    if isinstance(converted, tuple):
        converted, alphas = converted[0], converted[1]
        for name, alpha in (alphas or {}).items():
            converted.setdefault(name, torch.tensor(float(alpha)))
    made = {name: t for name, t in converted.items() if isinstance(t, Tensor)}
    used = frozenset[str]().union(*map(get_sources, made.values()))
    left = {
        name: tensor
        for name, tensor in tensors.items()
        if name not in used and split_name(name).leaf != "alpha" and not _REPEATED.fullmatch(name)
    }
    plain = {name: tensor.as_subclass(Tensor) for name, tensor in made.items()}
    return Converted(plain, left) if plain else None


def _trace(name: str, tensor: Tensor) -> Tensor:
    traced = tensor.clone().as_subclass(_Traced)
    traced.sources = frozenset([name])
    return traced


def spell_as_kohya(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The original code's names behind ComfyUI's prefix, as ai-toolkit writes them, in the spelling
    that diffusers knows for them."""
    spelled = {}
    for name, tensor in tensors.items():
        layer, leaf = split_name(name)
        known = {"down": "lora_down.weight", "up": "lora_up.weight", "alpha": "alpha"}.get(leaf)
        bare = layer.removeprefix("diffusion_model.")
        spelled[f"lora_unet_{flatten_name(bare)}.{known}" if known else name] = tensor
    return spelled
