"""A picture from words alone: the loaded pipeline as it is."""

from __future__ import annotations

import torch

from dream.engine import noise
from dream.engine.pipelines import Loaded
from dream.engine.tasks.base import Given, Job
from dream.recipe import Recipe


def takes(recipe: Recipe, given: Given) -> bool:
    """Every recipe that starts from no picture."""
    return given.image is None


def job(loaded: Loaded, recipe: Recipe, given: Given, source: torch.Generator) -> Job:
    """See `base.Task`."""
    arguments = {
        "latents": noise.latents(loaded.pipe, recipe, source),
        "width": recipe.width,
        "height": recipe.height,
        "num_inference_steps": recipe.steps,
    }
    return Job(pipe=loaded.pipe, arguments=arguments, steps=recipe.steps)
