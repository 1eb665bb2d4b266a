"""Summarizes what a line would generate while it is typed, without loading or writing anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.wildcard_files import WildcardFiles
from dream.core.recipe import Recipe
from dream.core.stages import compute_final_size
from dream.inputs import measure_image
from dream.prompt import parse_prompt
from dream.prompt.describe import count_parts, list_weights, suggest_syntax
from dream.session.many_lines import extent
from dream.session.name_checks import check_recipes
from dream.session.resolve import resolve
from dream.session.session import Session

_LONGEST = 200
"""Characters of weights in a summary."""


@dataclass(frozen=True)
class PlanSummary:
    """The images of one line; for a sweep or several files, size and steps of the first."""

    pictures: int
    width: int
    height: int
    """Before postprocessing."""
    after: tuple[int, int]
    """Width and height after postprocessing."""
    steps: int
    """0 if nothing is rendered."""
    model: str
    weights: str = ""
    """What is not plain words in the prompt: its parts, and words with a weight."""

    def __str__(self) -> str:
        images = "1 image" if self.pictures == 1 else f"{self.pictures:,} images"
        size = f"{self.width}×{self.height}"
        if self.after != (self.width, self.height):
            size += f" → {self.after[0]}×{self.after[1]}"
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        text = f"{images}, {size}, {steps}" if self.steps else f"{images}, {size}"
        return f"{text}; {self.weights}" if self.weights else text


def summarize_plan(session: Session, line: str) -> PlanSummary:
    """What a line would generate now. Raises BadLine, ModelError, InputError."""
    amount = extent(session, line)
    sweep = session.parse_sweep(amount.first)
    first = replace(sweep.first, iterations=1)

    def find(name: str | None) -> ModelInfo:
        return session.registry.find_model(name)

    values = WildcardFiles.of(session.registry).find
    controlled = AdapterRegistry.of(session.registry) if first.control else None
    resolved = resolve(
        *(first, find, session.seeds, lambda: 0, session.find_picture, controlled, values)
    )
    (recipe,) = resolved.recipes
    check_recipes(session.registry, [recipe])
    rendered = recipe.fix is None
    size = (recipe.width, recipe.height) if recipe.fix is None else measure_image(Path(recipe.fix))
    return PlanSummary(
        pictures=amount.count,
        width=size[0],
        height=size[1],
        after=compute_final_size(recipe, size),
        steps=recipe.steps if rendered else 0,
        model=recipe.model,
        weights=_list_weights(recipe) if rendered else "",
    )


def _list_weights(recipe: Recipe) -> str:
    """The parts and weights of a prompt, short enough for the status bar."""
    parsed = parse_prompt(recipe.prompt, recipe.negative, recipe.syntax)
    sides = (parsed.positive, parsed.negative)
    texts = [text for side in sides for text in (count_parts(side), list_weights(side))]
    texts.append(suggest_syntax(recipe.prompt, recipe.syntax))
    text = ", ".join(filter(None, texts))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
