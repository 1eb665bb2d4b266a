"""Loads the control models of a recipe, and keeps them in memory beside the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dream.catalogue.control_info import ControlInfo
from dream.catalogue.detect.control_family import CONTROL_LORA
from dream.catalogue.weight_files import WeightFiles
from dream.core.errors import ModelError, OutOfMemory
from dream.core.events import Loading
from dream.core.recipe import Recipe
from dream.engine.control.active_control import (
    ActiveControl,
    ControlImage,
    LoadedControl,
    MakeMap,
)
from dream.engine.control.control_fit import get_denoiser, require_fit
from dream.engine.control.load import list_control_files, load_control
from dream.engine.interface import FindControl, ProgressCallback
from dream.engine.loading.background_digest import hash_weights_in_background
from dream.engine.loading.file_signature import compute_file_signature
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory import low_memory as memory
from dream.engine.memory.device import NO_OFFLOAD
from dream.engine.memory.memory_estimate import MemoryEstimate, estimate_file
from dream.engine.memory.model_cache import ModelCache
from dream.options.quantize_table import NO_QUANTIZATION


class ControlModels:
    """The control models of one engine."""

    def __init__(self, find: FindControl, cache: ModelCache) -> None:
        self._find, self._cache = find, cache

    def load(
        self,
        recipe: Recipe,
        loaded: LoadedModel,
        images: Sequence[ControlImage],
        report: ProgressCallback,
        make_map: MakeMap,
    ) -> tuple[ActiveControl, ...]:
        """The controls of a recipe, in its order, with their models, for a model in memory, which
        stays there. `make_map` is not used with --control_raw. Raises ModelError, OutOfMemory."""
        names = recipe.control_model or ()
        if not recipe.control:
            return ()
        if len(names) != len(recipe.control):
            raise ModelError(
                f"{len(recipe.control)} control images need as many control models, not"
                f" {len(names)}",
                "name them with --control_model",
            )
        controls: dict[str, LoadedControl] = {}
        for name in dict.fromkeys(names):
            controls[name] = self._load(name, loaded, report, tuple(controls.values()))
            require_fit(controls[name], loaded)  # also one that another model was used with
        return tuple(
            ActiveControl(control, image, controls[name], None if recipe.control_raw else make_map)
            for control, image, name in zip(recipe.control, images, names, strict=True)
        )

    def _load(
        self,
        name: str,
        loaded: LoadedModel,
        report: ProgressCallback,
        others: tuple[LoadedControl, ...],
    ) -> LoadedControl:
        info, placement = self._find(name), loaded.placement
        key: tuple[object, ...] = (info, placement.device, placement.precision)
        if info.kind == CONTROL_LORA:  # it is made of the model's own weights
            key = (*key, loaded.info.path, loaded.adapters.key)
        signature = compute_file_signature(info.path)
        if (here := self._cache.get_companion(LoadedControl, key, signature)) is not None:
            return here
        report(Loading(model=info.name))
        files = list_control_files(info)
        weight = _estimate(info, files, loaded)
        self._cache.make_room(info.name, weight, (loaded, *others), for_model=False)
        on_device = replace(placement, offload_mode=NO_OFFLOAD, quantize=NO_QUANTIZATION)
        denoiser = get_denoiser(loaded.pipe)
        model = memory.run_or_none_on_oom(lambda: load_control(info, on_device, denoiser))
        if model is None:
            raise OutOfMemory(
                f"not enough memory for the control model {info.name}",
                "use --precision float16 or bfloat16, or a smaller control model",
            )
        digest = hash_weights_in_background(WeightFiles(tuple(files)))
        control = LoadedControl(info, model, digest, key, signature)
        self._cache.add_companion(control, weight)
        return control


def _estimate(info: ControlInfo, files: tuple[Path, ...], loaded: LoadedModel) -> MemoryEstimate:
    """Its memory, from the headers of its files."""
    parts = [estimate_file(file, loaded.placement) for file in files]
    weights = sum(part.weights for part in parts)
    if info.kind == CONTROL_LORA:
        weights *= 4  # most of its layers are the model's own
    return MemoryEstimate(parts[0].placement, weights, sum(part.load_overhead for part in parts))
