"""Merges LoRAs into a model's weights, and undoes it bit for bit.

A merged weight is always the original one plus the sum of all differences, in the line's order, in
float32, rounded once; so it does not depend on what was merged before. While the same LoRAs are
used, nothing is computed: an image with them takes as long as one without.

The originals of the changed weights, and only of those, are kept in main memory. On a CPU nothing
is copied for that: a changed weight gets memory of its own, and its original, often the mapped
file, stays as it is. Where there is no room for both, the weights are changed in place, and the
model is loaded again when the LoRAs change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dream.core.errors import ModelError
from dream.engine.adapters.layer_kinds import compute_difference, get_low_rank
from dream.engine.adapters.layer_names import Leaves
from dream.engine.adapters.layer_places import Place, find_places
from dream.engine.adapters.layer_shapes import UnsupportedLayer, check_shapes
from dream.engine.adapters.lora_file import Layers, LoraFile, find_layers, raise_lora_errors
from dream.engine.adapters.lora_hooks import add_hook, check_hook_shapes, must_hook
from dream.engine.loading.load_errors import raise_file_errors
from dream.engine.memory.low_memory import count_mapped_bytes, measure_free_memory

RESERVE = 2**29
"""Bytes of main memory that stay free when originals are kept."""

MAX_KNOWN = 8
"""Of how many files the layers' places are remembered."""


@dataclass(frozen=True)
class WeightedLora:
    """An open LoRA, and its weights."""

    file: LoraFile
    weight: float
    text_weight: float

    @property
    def key(self) -> object:
        """Differs if the merged weights do."""
        return self.file.path, self.file.stamp, self.weight, self.text_weight


@dataclass(frozen=True)
class _Part:
    """What one LoRA adds to one layer."""

    lora: WeightedLora
    place: Place
    leaves: Leaves
    weight: float


@dataclass
class MergedWeights:
    """What is merged into one loaded model."""

    key: tuple[object, ...] = ()
    """Of the LoRAs that are merged, in order; see `WeightedLora.key`."""
    originals: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """In main memory, by parameter, as `unet.conv_in.weight`. Never written to: on a CPU they are
    the model's own tensors."""
    handles: list[Any] = field(default_factory=list, repr=False)
    """Of the hooks in layers whose weights cannot be changed."""
    is_reversible: bool = True
    """False after a merge without room for the originals."""
    layers: dict[object, Layers] = field(default_factory=dict, repr=False)
    """The layers of the files used last, by path and stamp."""
    text_key: tuple[object, ...] = ()
    """Differs if text is encoded differently: of the LoRAs for text encoders, and of embeddings."""


def get_key(loras: Sequence[WeightedLora]) -> tuple[object, ...]:
    """The key of what `merge` would merge; LoRAs of weight 0 are not merged."""
    return tuple(lora.key for lora in _effective(loras))


def _effective(loras: Sequence[WeightedLora]) -> list[WeightedLora]:
    return [lora for lora in loras if lora.weight or lora.text_weight]


def merge(
    state: MergedWeights,
    loras: Sequence[WeightedLora],
    pipe: Any,
    model: str,
    offload_mode: str = "",
) -> None:
    """Give a pipeline's model the weights for these LoRAs, and for no others.

    model: its name, for messages. offload_mode: see `engine.memory.offload`. Raises ModelError for
    a LoRA that does not fit; then nothing is merged.
    """
    key = get_key(loras)
    if key == state.key:
        return
    assert state.is_reversible, "the caller loads the model again"
    parts = _plan(state, loras, pipe, model)
    with _restored_on_error(state, pipe), torch.no_grad():
        _remove_hooks(state)
        merged = {n: p for n, p in parts.items() if not must_hook(p[0].place.layer, offload_mode)}
        for several in merged.values():
            _check_parts(several, model)
        for name in state.originals.keys() - _parameters(merged).keys():
            _restore(_parameter(pipe, name), state.originals.pop(name))
        _keep_originals(state, _parameters(merged), count_mapped_bytes([pipe]))
        for several in merged.values():
            _merge_layer(state, several, model)
        for name in parts.keys() - merged.keys():
            for part in parts[name]:
                state.handles.append(_hook(part, model))
        state.key = key
        state.text_key = tuple(
            (lora.file.path, lora.file.stamp, lora.text_weight) for lora in _effective(loras)
        )


def undo(state: MergedWeights, pipe: Any) -> None:
    """Restore every weight, bit for bit."""
    _remove_hooks(state)
    with torch.no_grad():
        for name, original in state.originals.items():
            _restore(_parameter(pipe, name), original)
    state.originals.clear()
    state.key = state.text_key = ()


@contextmanager
def _restored_on_error(state: MergedWeights, pipe: Any) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if state.is_reversible:
            undo(state, pipe)
        else:
            state.key = (object(),)  # equal to no other: the model is loaded again
        raise


def _plan(
    state: MergedWeights, loras: Sequence[WeightedLora], pipe: Any, model: str
) -> dict[str, list[_Part]]:
    """What is added to each layer, by `Place.key`; of each LoRA in the line's order."""
    parts: dict[str, list[_Part]] = {}
    for lora in _effective(loras):
        for key, (place, leaves) in _find_layers(state, lora.file, pipe, model).items():
            if weight := lora.text_weight if place.is_text else lora.weight:
                parts.setdefault(key, []).append(_Part(lora, place, leaves, weight))
    return parts


def _find_layers(state: MergedWeights, file: LoraFile, pipe: Any, model: str) -> Layers:
    key = file.path, file.stamp
    if key not in state.layers:
        places = find_places(pipe.components)
        with raise_file_errors(file.name, file.path):
            layers = find_layers(file, places, pipe, model)
        while len(state.layers) >= MAX_KNOWN:
            del state.layers[next(iter(state.layers))]
        state.layers[key] = layers
    return state.layers[key]


def _parameters(parts: Mapping[str, Sequence[_Part]]) -> dict[str, nn.Parameter]:
    """The parameters that change, by name."""
    parameters: dict[str, nn.Parameter] = {}
    for key, several in parts.items():
        for name, parameter in several[0].place.layer.named_parameters(recurse=False):
            if name == "weight" or any(_has_bias(part.leaves) for part in several):
                parameters[f"{key}.{name}"] = parameter
    return parameters


def _has_bias(leaves: Leaves) -> bool:
    return bool(leaves.keys() & {"diff_b", "b_norm", "up_bias"})


def _keep_originals(
    state: MergedWeights, parameters: Mapping[str, nn.Parameter], mapped: int
) -> None:
    new = {name: p for name, p in parameters.items() if name not in state.originals}
    needed = sum(parameter.nbytes for parameter in new.values())
    if needed and needed + RESERVE > measure_free_memory("cpu") - mapped:
        for name, original in state.originals.items():
            _restore(parameters[name], original)
        state.originals.clear()
        state.is_reversible = False
        return
    for name, parameter in new.items():
        state.originals[name] = parameter.detach().cpu()


def _merge_layer(state: MergedWeights, parts: Sequence[_Part], model: str) -> None:
    place = parts[0].place
    name, weight = f"{place.key}.weight", place.layer.get_parameter("weight")
    total = _original(state, name, weight).to(weight.device, torch.float32, copy=True)
    bias_sum: Tensor | None = None
    for part in parts:
        with raise_lora_errors(part.lora.file, place, model):
            leaves = {leaf: tensor.to(weight.device) for leaf, tensor in part.leaves.items()}
            if low_rank := get_low_rank(leaves, total):
                up, down, scale = low_rank
                _add_product(total, up, down, scale * part.weight)
                continue
            original = _original(state, name, weight).to(weight.device, torch.float32)
            delta, bias = compute_difference(leaves, original)
            if delta is not None:
                total.add_(delta, alpha=part.weight)
            if bias is not None:
                bias_sum = bias * part.weight + (0 if bias_sum is None else bias_sum)
    _assign(state, name, weight, total)
    if bias_sum is not None:
        _merge_bias(state, parts[0], bias_sum, model)


def _check_parts(parts: Sequence[_Part], model: str) -> None:
    """Before anything is computed: whether all that is added to a layer has its shape."""
    for part in parts:
        with raise_lora_errors(part.lora.file, part.place, model):
            check_shapes(part.leaves, part.place.layer.get_parameter("weight"))


def _add_product(total: Tensor, up: Tensor, down: Tensor, scale: float) -> None:
    if total.ndim == 2:
        total.addmm_(up, down, alpha=scale)
    else:
        total.add_((up @ down).reshape(total.shape), alpha=scale)


def _merge_bias(state: MergedWeights, part: _Part, delta: Tensor, model: str) -> None:
    place = part.place
    bias = place.layer._parameters.get("bias")
    if bias is None or bias.shape != delta.flatten().shape:
        with raise_lora_errors(part.lora.file, place, model):
            raise UnsupportedLayer("the layer has no such bias")
    name = f"{place.key}.bias"
    original = _original(state, name, bias).to(bias.device, torch.float32)
    _assign(state, name, bias, original + delta.flatten().to(original.device))


def _original(state: MergedWeights, name: str, parameter: nn.Parameter) -> Tensor:
    """The original weight, wherever it is, in its own dtype; not to be written to."""
    original = state.originals.get(name)
    return parameter.detach() if original is None else original


def _assign(state: MergedWeights, name: str, parameter: nn.Parameter, merged: Tensor) -> None:
    """Give a parameter its merged weight, rounded to its dtype; `merged` belongs to nobody else."""
    if _is_same(state.originals.get(name), parameter):
        parameter.data = merged.to(parameter.dtype)
    else:
        parameter.data.copy_(merged)


def _restore(parameter: nn.Parameter, original: Tensor) -> None:
    if parameter.device == original.device:
        parameter.data = original
    else:
        parameter.data.copy_(original)


def _is_same(original: Tensor | None, parameter: nn.Parameter) -> bool:
    """Whether a parameter still has its original's memory."""
    return original is not None and parameter.data_ptr() == original.data_ptr()


def _hook(part: _Part, model: str) -> Any:
    with raise_lora_errors(part.lora.file, part.place, model):
        check_hook_shapes(part.place.layer, part.leaves)
    try:
        return add_hook(part.place.layer, part.leaves, part.weight)
    except UnsupportedLayer as error:
        raise ModelError(
            f"{part.lora.file.name} cannot be used with offloaded or quantized weights: at"
            f" {part.place.key}, {error}",
            "only plain LoRAs can; use --low_memory off or model",
        ) from error


def _remove_hooks(state: MergedWeights) -> None:
    for handle in state.handles:
        handle.remove()
    state.handles.clear()


def _parameter(pipe: Any, name: str) -> nn.Parameter:
    component, _, rest = name.partition(".")
    parameter: nn.Parameter = getattr(pipe, component).get_parameter(rest)
    return parameter
