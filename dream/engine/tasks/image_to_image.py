"""A picture from another one, noised as far as the strength says, and from words."""

from __future__ import annotations

import torch

from dream.engine import noise
from dream.engine.pipelines import Loaded
from dream.engine.tasks.base import Given, Job
from dream.engine.tasks.shared import from_a_picture
from dream.engine.tasks.walk import share, steps_of
from dream.recipe import Recipe


def takes(recipe: Recipe, given: Given) -> bool:
    """Every recipe with a picture to start from, and no mask."""
    return given.image is not None and given.mask is None


def job(loaded: Loaded, recipe: Recipe, given: Given, source: torch.Generator) -> Job:
    """See `base.Task`."""
    drawn = noise.latents(loaded.pipe, recipe, source)
    walked = steps_of(recipe)
    return Job(
        pipe=from_a_picture(loaded),
        arguments={
            "image": given.image,
            "strength": share(walked, recipe.steps, up=drawn is None),
            "width": recipe.width,
            "height": recipe.height,
            "num_inference_steps": recipe.steps,
        },
        steps=walked,
        start=None if drawn is None else lambda picture: (picture, drawn),
    )
