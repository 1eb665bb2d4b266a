"""--hires_fix: a picture larger than those a model has learnt from, in two walks.

Painted at once, such a picture holds everything twice. So its composition is painted at the size
the model knows, enlarged, and painted over. Enlarged are pixels, not latents: that looks no worse,
also at strengths that keep much, and is the same for every family of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

from dream.catalogue.model_info import ModelInfo
from dream.core.events import Loading, Note
from dream.core.recipe import Recipe
from dream.engine.interface import Progress, ProgressCallback


def split_passes(recipe: Recipe, card: ModelInfo) -> tuple[Recipe, Recipe] | None:
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


def merge_progress(tell: ProgressCallback, steps: Sequence[int]) -> list[ProgressCallback]:
    """One Tell for each walk, which all count on: three steps and two are told as five."""
    return [_counting(tell, sum(steps[:n]), sum(steps)) for n in range(len(steps))]


def _counting(tell: ProgressCallback, before: int, of: int) -> ProgressCallback:
    def told(happening: Progress | Note | Loading) -> None:
        if isinstance(happening, Progress):
            happening = replace(happening, step=before + happening.step, steps=of)
        tell(happening)

    return told
