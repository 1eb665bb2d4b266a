"""--hires_fix: a picture larger than those a model has learnt from, in two walks.

Painted at once, such a picture holds everything twice. So its composition is painted at the size
the model knows, enlarged, and painted over. Enlarged are pixels, not latents: that looks no worse,
also at strengths that keep much, and is the same for every family of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

from dream.catalogue.cards import ModelCard
from dream.engine.base import Progress, Tell
from dream.events import Loading, Note
from dream.recipe import Recipe


def walks(recipe: Recipe, card: ModelCard) -> tuple[Recipe, Recipe] | None:
    """The small picture, and the large one that is painted over it; None where one walk will do."""
    if recipe.hires_fix is None:
        return None
    shrink = sqrt(card.width * card.height / (recipe.width * recipe.height))
    if shrink >= 1:
        return None
    width, height = (
        max(card.multiple, int(side * shrink) // card.multiple * card.multiple)
        for side in (recipe.width, recipe.height)
    )
    small = replace(recipe, width=width, height=height, hires_fix=None)
    return small, replace(recipe, strength=recipe.hires_fix, hires_fix=None)


def as_one(tell: Tell, steps: Sequence[int]) -> list[Tell]:
    """One Tell for each walk, which all count on: three steps and two are told as five."""
    return [_counting(tell, sum(steps[:n]), sum(steps)) for n in range(len(steps))]


def _counting(tell: Tell, before: int, of: int) -> Tell:
    def told(happening: Progress | Note | Loading) -> None:
        if isinstance(happening, Progress):
            happening = replace(happening, step=before + happening.step, steps=of)
        tell(happening)

    return told
