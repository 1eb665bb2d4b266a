"""The interface of a task: which recipes it accepts, and what it passes to the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from PIL import Image

from dream.core.recipe import Recipe
from dream.engine.control.active_control import ControlImage
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling.schedulers import Start


@dataclass(frozen=True, kw_only=True)
class TaskInputs:
    """What an image starts from besides prompt and noise, in memory."""

    image: Image.Image | None = None
    """RGB, of the recipe's size."""
    mask: Image.Image | None = None
    """L, of the same size: 255 is generated, 0 is kept."""
    depth: torch.Tensor | None = None
    """(1, 1, h, w), for depth models: the greater, the nearer; None means equally far
    everywhere."""
    references: tuple[Image.Image, ...] = ()
    """RGB, of any size; for models that edit. `image` comes before them."""
    controls: tuple[ControlImage, ...] = ()
    """The files of the recipe's control images, in its order, of any size."""
    image_prompts: tuple[ControlImage, ...] = ()
    """The files of the recipe's image prompts, in its order, of any size."""
    colours: Image.Image | None = None
    """Another image, whose colours the result takes."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the files they come from, by the recipe's field."""


def return_unchanged(image: Image.Image) -> Image.Image:
    """The image itself."""
    return image


@dataclass(frozen=True, kw_only=True)
class PipelineCall:
    """One image of one task, ready for the pipeline."""

    pipe: Any
    """A pipeline of diffusers; it shares the loaded model's weights."""
    arguments: Mapping[str, Any]
    """For the pipeline, besides the prompt; arguments that it does not have are left out."""
    steps: int
    """Denoising steps that will run."""
    start: Start | None = None
    """Replaces what the pipeline would draw itself, in the network's dtype."""
    finish: Callable[[Image.Image], Image.Image] = return_unchanged
    """Applied to the pipeline's image, in pixels."""


class Task(Protocol):
    """A module of this package."""

    def accepts(self, recipe: Recipe, inputs: TaskInputs) -> bool:
        """Whether this task generates such a recipe. The first task in TASKS that accepts it is
        used."""

    def prepare(
        self, loaded: LoadedModel, recipe: Recipe, inputs: TaskInputs, source: torch.Generator
    ) -> PipelineCall:
        """The pipeline and its arguments. `source` is the image's only random generator, not used
        before.

        Raises ModelError where the model does not support this task.
        """


__all__ = ["PipelineCall", "Start", "Task", "TaskInputs", "return_unchanged"]
