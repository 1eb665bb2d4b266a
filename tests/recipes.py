"""A small picture to ask for."""

from __future__ import annotations

from typing import Any

from dream.core.recipe import Recipe


def recipe(**changes: Any) -> Recipe:
    """64x64 pixels, three steps, with the random model; and what is changed."""
    usual: dict[str, Any] = {
        "prompt": "a red circle",
        "negative": "",
        "steps": 3,
        "seed": 42,
        "width": 64,
        "height": 64,
        "cfg_scale": 5.0,
        "sampler": "ddim",
        "model": "random",
    }
    return Recipe(**usual | changes)
