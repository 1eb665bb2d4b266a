"""Starts denoising in the middle: an image is noised according to its strength, and denoised from
there. Meng et al. 2021 (SDEdit), arXiv:2108.01073.

As in InvokeAI and diffusers, `-s 30 -f 0.5` runs the last 15 of 30 steps. Unlike there, steps too
coarse for the strength are made finer: `-s 4 -f 0.1` runs the last one of 10.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor

from dream.core.recipe import Recipe
from dream.options.schedule_table import FORMER

MAX_STEPS = 1000
"""As many as the models were trained on."""
_ROUNDING = 1e-9
_MIN_SHARE = 0.75
"""Share of the requested strength that must be denoised at least where the steps are made finer."""


def refine_steps(recipe: Recipe) -> Recipe:
    """The recipe with so many steps that its strength is at least one of them. With fewer, one step
    would still run, which changes the image much more than requested: with a single step, all of
    it. Lines of the former schedule keep their steps."""
    strength = recipe.strength or 1
    if recipe.steps * strength + _ROUNDING >= 1 or recipe.schedule == FORMER:
        return recipe
    fewest = min(MAX_STEPS, ceil(1 / strength - _ROUNDING))
    near = (
        n
        for n in range(fewest, MAX_STEPS)
        if _floor_steps(n, strength) >= _MIN_SHARE * strength * n
    )
    return replace(recipe, steps=next(near, MAX_STEPS))


def count_steps(recipe: Recipe) -> int:
    """The steps that a recipe from `refine_steps` runs: strength * steps, rounded down."""
    return max(1, _floor_steps(recipe.steps, recipe.strength or 1))


def _floor_steps(steps: int, strength: float) -> int:
    return floor(steps * strength + _ROUNDING)


def compute_pipeline_strength(run_steps: int, steps: int, *, up: bool = False) -> float:
    """The strength from which a diffusers pipeline computes `run_steps` of `steps`: pipelines with
    a UNet round steps * strength down, those without round it `up`; and 49 * (1 / 49) is not 1."""
    if run_steps == steps:
        return 1
    return (run_steps + (-0.5 if up else 0.5)) / steps
