"""The part of the walk that begins in the middle: a picture is noised as far as its strength says,
and walked back from there. Meng et al. 2021 (SDEdit), arXiv:2108.01073.

As in InvokeAI and diffusers, `-s 30 -f 0.5` are the last 15 of 30 steps.
"""

from __future__ import annotations

from math import floor, nextafter

from dream.recipe import Recipe


def steps_of(recipe: Recipe) -> int:
    """How many of its steps a recipe walks: strength * steps, rounded down, but one at least."""
    return max(1, floor(recipe.steps * (recipe.strength or 1) + 1e-9))


def share(walked: int, steps: int) -> float:
    """The strength that every pipeline of diffusers counts as `walked` of `steps`.

    Some round steps * strength down and some up, and 49 * (1 / 49) is not 1.
    """
    near = walked / steps
    candidates = (near, nextafter(near, 1), nextafter(near, 0))
    return next((s for s in candidates if steps * s == walked), near)
