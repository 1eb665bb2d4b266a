"""--hires_fix: an image larger than those a model was trained on, in two passes.

Generated in one pass, such an image shows everything twice. So its composition is generated at the
model's native size, enlarged, and refined. Pixels are enlarged, not latents: that looks no worse,
even at low strengths, and is the same for every model family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

from dream.catalogue.model_info import ModelInfo
from dream.core.events import Loading, Note
from dream.core.recipe import Recipe
from dream.engine.interface import Progress, ProgressCallback


def split_passes(recipe: Recipe, info: ModelInfo) -> tuple[Recipe, Recipe] | None:
    """The recipes of the small image and of the large one that refines it; None where one pass is
    enough."""
    if recipe.hires_fix is None:
        return None
    shrink = sqrt(info.width * info.height / (recipe.width * recipe.height))
    if shrink >= 1:
        return None
    width, height = (
        max(info.multiple, int(side * shrink) // info.multiple * info.multiple)
        for side in (recipe.width, recipe.height)
    )
    small = replace(recipe, width=width, height=height, hires_fix=None)
    return small, replace(recipe, strength=recipe.hires_fix, hires_fix=None)


def merge_progress(report: ProgressCallback, steps: Sequence[int]) -> list[ProgressCallback]:
    """One callback for each pass, which count the steps of all: passes of three and two steps are
    reported as five."""
    return [_offset_progress(report, sum(steps[:n]), sum(steps)) for n in range(len(steps))]


def _offset_progress(report: ProgressCallback, before: int, of: int) -> ProgressCallback:
    def report_all(event: Progress | Note | Loading) -> None:
        if isinstance(event, Progress):
            event = replace(event, step=before + event.step, steps=of)
        report(event)

    return report_all
