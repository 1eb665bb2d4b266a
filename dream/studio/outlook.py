"""What a line would make: said while it is being typed, with nothing drawn, loaded or written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dream.catalogue.cards import ModelCard
from dream.inputs import measure
from dream.stages import size_after
from dream.studio.many import extent
from dream.studio.named import check_recipes
from dream.studio.settle import settle
from dream.studio.studio import Studio


@dataclass(frozen=True)
class Outlook:
    """The pictures of one line; of a sweep, or several files, the size and steps of the first."""

    pictures: int
    width: int
    height: int
    """Before all that is done afterwards."""
    after: tuple[int, int]
    """The same, after it."""
    steps: int
    """0 where nothing is rendered."""
    model: str

    def __str__(self) -> str:
        often = "1 picture" if self.pictures == 1 else f"{self.pictures:,} pictures"
        size = f"{self.width}×{self.height}"
        if self.after != (self.width, self.height):
            size += f" → {self.after[0]}×{self.after[1]}"
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        return f"{often}, {size}, {steps}" if self.steps else f"{often}, {size}"


def outlook(studio: Studio, line: str) -> Outlook:
    """What a line would make now. Raises BadLine, ModelError, InputError."""
    asked = extent(studio, line)
    sweep = studio.read_sweep(asked.first)
    first = replace(sweep.first, iterations=1)

    def find(name: str | None) -> ModelCard:
        return studio.shelf.model(name or studio.shelf.default())

    (recipe,) = settle(first, find, studio.past, lambda: 0, studio.find_picture).recipes
    check_recipes(studio.shelf, [recipe])
    rendered = recipe.fix is None
    size = (recipe.width, recipe.height) if recipe.fix is None else measure(Path(recipe.fix))
    return Outlook(
        pictures=asked.count,
        width=size[0],
        height=size[1],
        after=size_after(recipe, size),
        steps=recipe.steps if rendered else 0,
        model=recipe.model,
    )
