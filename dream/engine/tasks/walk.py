"""The part of the walk that begins in the middle: a picture is noised as far as its strength says,
and walked back from there. Meng et al. 2021 (SDEdit), arXiv:2108.01073.

As in InvokeAI and diffusers, `-s 30 -f 0.5` are the last 15 of 30 steps.
"""

from __future__ import annotations

from math import floor

from dream.recipe import Recipe


def steps_of(recipe: Recipe) -> int:
    """How many of its steps a recipe walks: strength * steps, rounded down, but one at least."""
    return max(1, floor(recipe.steps * (recipe.strength or 1) + 1e-9))


def share(walked: int, steps: int, *, up: bool = False) -> float:
    """The strength that a pipeline of diffusers counts as `walked` of `steps`: those with a UNet
    round steps * strength down, those without round it `up`; and 49 * (1 / 49) is not 1."""
    if walked == steps:
        return 1
    return (walked + (-0.5 if up else 0.5)) / steps
