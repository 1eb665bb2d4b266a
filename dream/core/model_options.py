"""ModelOptions: what a line says about how its model is loaded."""

from __future__ import annotations

from typing import NamedTuple

from dream.core.recipe import Recipe
from dream.core.request import Request


class ModelOptions(NamedTuple):
    """A model in memory has one value of each; with another, it is another model."""

    quantize: str | None = None
    """The value of --quantize."""
    text_encoder: str | None = None
    """The value of --text_encoder."""


DEFAULT_OPTIONS = ModelOptions()


def get_model_options(values: Recipe | Request) -> ModelOptions:
    """The options of a recipe, or of a session's defaults."""
    return ModelOptions(values.quantize, values.text_encoder)
