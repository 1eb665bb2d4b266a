"""What a task is: it says which recipes it takes, and what it feeds the pipeline for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from PIL import Image

from dream.core.recipe import Recipe
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling.schedulers import Start


@dataclass(frozen=True, kw_only=True)
class TaskInputs:
    """What a picture starts from besides words and noise, in memory."""

    image: Image.Image | None = None
    """RGB, of the recipe's size."""
    mask: Image.Image | None = None
    """L, of the same size: 255 is painted, 0 is kept."""
    depth: torch.Tensor | None = None
    """(1, 1, h, w), for models that paint by it: the greater, the nearer; None is all the same."""
    colours: Image.Image | None = None
    """Another picture, whose colours the finished one is to have."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the files they come from, by the recipe's field."""


def return_unchanged(image: Image.Image) -> Image.Image:
    """Nothing is left to do."""
    return image


@dataclass(frozen=True, kw_only=True)
class PipelineCall:
    """One picture of one task, ready for the pipeline."""

    pipe: Any
    """A pipeline of diffusers; it shares the loaded model's weights."""
    arguments: Mapping[str, Any]
    """For the pipeline, besides the words; those that it does not know are left out."""
    steps: int
    """Denoising steps that will be walked."""
    start: Start | None = None
    """In place of what the pipeline would draw itself, in the network's number type."""
    finish: Callable[[Image.Image], Image.Image] = return_unchanged
    """What is done to the pipeline's picture, in pixels."""


class Task(Protocol):
    """A module of this folder."""

    def accepts(self, recipe: Recipe, given: TaskInputs) -> bool:
        """Whether this is the task for such a recipe. The first in TASKS that says yes does it."""

    def prepare(
        self, loaded: LoadedModel, recipe: Recipe, given: TaskInputs, source: torch.Generator
    ) -> PipelineCall:
        """What the pipeline is fed. `source` is the picture's one source of chance, untouched.

        Raises ModelError where the model cannot do this.
        """


__all__ = ["PipelineCall", "Start", "Task", "TaskInputs", "return_unchanged"]
