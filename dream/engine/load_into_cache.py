"""Loads a model into the cache of those in memory, where it fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import OutOfMemory
from dream.engine.interface import DeviceConfig, ProgressCallback
from dream.engine.loading.late_weights import LateWeights
from dream.engine.loading.pipelines import LoadedModel, load_model
from dream.engine.loading.shared_encoders import SharedEncoders, count_bytes
from dream.engine.memory import low_memory as memory
from dream.engine.memory.memory_estimate import estimate_memory
from dream.engine.memory.model_cache import ModelCache
from dream.engine.silence_libraries import silence_libraries

Begin = Callable[[ModelInfo], LateWeights | None]
"""Called before a model is loaded on the CPU: see `Engines.begin`."""


def load_into_cache(
    info: ModelInfo,
    machine: DeviceConfig,
    models: ModelCache,
    shared: SharedEncoders,
    report: ProgressCallback,
    begin: Begin | None,
) -> LoadedModel:
    """Load a model that is not in memory, and keep it there. Where there is not enough room, the
    models used least recently are unloaded first. Raises ModelError, BadSetting, OutOfMemory."""
    device, precision = machine.device, machine.precision
    weight = estimate_memory(info, device, precision)
    weight = models.choose_offload(info.name, weight, machine.low_memory, report)
    offload_mode = weight.placement.offload_mode
    encoders = shared.find({part.path for part in info.parts})
    weight = replace(weight, weights=max(0, weight.weights - count_bytes(encoders)))
    models.make_room(info.name, weight)
    late = begin(info) if begin is not None and weight.placement.device == "cpu" else None
    load = partial(load_model, info, device, precision, offload_mode, shared, late)
    with silence_libraries():
        loaded = memory.run_or_none_on_oom(load)
        if loaded is None and models.list_names():
            models.clear()
            loaded = memory.run_or_none_on_oom(load)
    if loaded is None:
        raise OutOfMemory(
            f"not enough memory for the model {info.name}",
            "use --precision float16 or bfloat16",
        )
    models.add(loaded, weight)
    return loaded
