"""Which engine a recipe may be computed by, as far as that is known without its model. Imports no
torch."""

from __future__ import annotations

from dream.core.recipe import Recipe
from dream.options.engine_table import AUTO, ENGINES, OPENVINO, TORCH

UNSUPPORTED = ("freeu", "pag", "seamless", "hypernet", "quantize", "control", "image_prompt")
"""Fields of a recipe that change what is inside a network, or what it is given."""


def choose_engine(engine: str | None) -> str:
    """The engine for a recipe's value. AUTO is OpenVINO if that is installed, else torch."""
    if engine == AUTO:
        return TORCH if ENGINES[OPENVINO].find_missing() else OPENVINO
    return engine or TORCH


def may_use_openvino(recipe: Recipe) -> bool:
    """Whether OpenVINO may compute it."""
    unsupported = any(getattr(recipe, name, None) for name in UNSUPPORTED)
    return choose_engine(recipe.engine) == OPENVINO and not unsupported
