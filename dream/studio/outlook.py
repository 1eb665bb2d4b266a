"""What a line would make: said while it is being typed, with nothing drawn, loaded or written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dream.catalogue.cards import ModelCard
from dream.studio.settle import settle
from dream.studio.studio import Studio


@dataclass(frozen=True)
class Outlook:
    """The pictures of one line; of a sweep, the size and steps of the first."""

    pictures: int
    width: int
    height: int
    """Before upscaling."""
    factor: float
    """Of upscaling; 1 where there is none."""
    steps: int
    model: str

    def __str__(self) -> str:
        often = "1 picture" if self.pictures == 1 else f"{self.pictures:,} pictures"
        size = f"{self.width}×{self.height}"
        if self.factor != 1:
            size += f" → {round(self.width * self.factor)}×{round(self.height * self.factor)}"
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        return f"{often}, {size}, {steps}"


def outlook(studio: Studio, line: str) -> Outlook:
    """What a line would make now. Raises BadLine, ModelError,
    InputError."""
    sweep = studio.read_sweep(line)
    first = replace(sweep.first, iterations=1)

    def find(name: str | None) -> ModelCard:
        return studio.shelf.model(name or studio.shelf.default())

    (recipe,) = settle(first, find, studio.past, lambda: 0, studio.find_picture).recipes
    return Outlook(
        pictures=sweep.count,
        width=recipe.width,
        height=recipe.height,
        factor=recipe.upscale.factor if recipe.upscale else 1,
        steps=recipe.steps,
        model=recipe.model,
    )
