"""Prepares what is most likely rendered first, before a line is entered."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from dream.catalogue import ModelRegistry
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.core.errors import DreamError
from dream.core.model_options import get_model_options
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.engine.interface import Engine
from dream.options.engine_table import TORCH
from dream.session.resolve import resolve


def preload_model(engine: Engine, base: Request, registry: ModelRegistry) -> None:
    """Start to load the model of these defaults, for a line that leaves everything to them. Raises
    ModelError for one that is not there."""
    name = registry.find_model(base.model).name
    engine.preload(name, get_model_options(base), _expect_recipe(base, registry))


def _expect_recipe(base: Request, registry: ModelRegistry) -> Recipe | None:
    """That line; None where only its model can be prepared, or where there is no such line."""
    if base.engine in {None, TORCH}:
        return None
    with suppress(DreamError):
        adapters, request = AdapterRegistry.of(registry), replace(base, prompt="a")
        resolved = resolve(request, registry.find_model, (), lambda: 0, adapters=adapters)
        return resolved.recipes[0]
    return None
