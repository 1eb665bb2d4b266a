"""LoRAs in a text encoder that several models in memory use: what one model merges, no other one
may see."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dream.catalogue.model_info import ModelInfo
from dream.engine.adapters.weight_merge import undo
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.loading.shared_encoders import SharedEncoders
from dream.engine.memory.model_cache import ModelCache


def undo_in_other_models(cache: ModelCache, shared: SharedEncoders, info: ModelInfo) -> None:
    """Before a model is used: undo the LoRAs of all others that use one of its text encoders. Where
    that is not possible, unload them and the encoder."""
    encoders = shared.find({part.path for part in info.parts})
    for loaded in cache.list_models() if encoders else ():
        if loaded.info.path == info.path or not loaded.adapters.key or not _uses(loaded, encoders):
            continue
        if loaded.adapters.is_reversible:
            undo(loaded.adapters, loaded.pipe)
        else:
            unload_with_encoders(cache, shared, loaded)


def unload_with_encoders(cache: ModelCache, shared: SharedEncoders, loaded: LoadedModel) -> None:
    """Unload a model whose weights were changed for good, its text encoders, and all models that
    use one of them."""
    encoders = [
        part for name, part in loaded.pipe.components.items() if name.startswith("text_encoder")
    ]
    shared.forget(encoders)
    for other in cache.list_models():
        if other is loaded or _uses(other, encoders):
            cache.discard(other)


def _uses(loaded: LoadedModel, modules: Collection[Any]) -> bool:
    ids = {id(module) for module in modules if module is not None}
    return any(id(part) in ids for part in loaded.pipe.components.values())
