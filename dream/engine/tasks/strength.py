"""The part of the walk that begins in the middle: a picture is noised as far as its strength says,
and walked back from there. Meng et al. 2021 (SDEdit), arXiv:2108.01073.

As in InvokeAI and diffusers, `-s 30 -f 0.5` are the last 15 of 30 steps. Unlike them, steps too
coarse for the strength are made finer: `-s 4 -f 0.1` is the last one of 10.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor

from dream.core.recipe import Recipe
from dream.options.schedule_table import FORMER

MOST_STEPS = 1000
"""As many as the models have learnt from."""
_ROUNDING = 1e-9
_NEAR = 0.75
"""Of the strength asked for, that must be walked at least where the steps are made finer."""


def fine_enough(recipe: Recipe) -> Recipe:
    """The recipe in so many steps that its strength is at least one of them. Of fewer, one would
    still be walked, which leaves the picture much further than was asked: of a single step, all;
    as lines were painted that are from before this."""
    strength = recipe.strength or 1
    if recipe.steps * strength + _ROUNDING >= 1 or recipe.schedule == FORMER:
        return recipe
    fewest = min(MOST_STEPS, ceil(1 / strength - _ROUNDING))
    near = (n for n in range(fewest, MOST_STEPS) if _walked(n, strength) >= _NEAR * strength * n)
    return replace(recipe, steps=next(near, MOST_STEPS))


def count_steps(recipe: Recipe) -> int:
    """How many steps a recipe that is fine enough walks: strength * steps, rounded down."""
    return max(1, _walked(recipe.steps, recipe.strength or 1))


def _walked(steps: int, strength: float) -> int:
    return floor(steps * strength + _ROUNDING)


def compute_pipeline_strength(walked: int, steps: int, *, up: bool = False) -> float:
    """The strength that a pipeline of diffusers counts as `walked` of `steps`: those with a UNet
    round steps * strength down, those without round it `up`; and 49 * (1 / 49) is not 1."""
    if walked == steps:
        return 1
    return (walked + (-0.5 if up else 0.5)) / steps
