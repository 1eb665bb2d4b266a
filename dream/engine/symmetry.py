"""Mirrored latents (`--h_symmetry_time_pct`): once, when so much of the way has been gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from dream.recipe import Recipe


@dataclass(frozen=True)
class Symmetry:
    """When to mirror, as shares of the steps from 0 to 1; 0 is never."""

    left_right: float
    top_bottom: float

    @staticmethod
    def of(recipe: Recipe) -> Symmetry:
        """What a recipe asks for."""
        return Symmetry(recipe.h_symmetry_time_pct, recipe.v_symmetry_time_pct)

    def __call__(
        self, latents: torch.Tensor, scheduler: Any, before: int, step: int, steps: int
    ) -> torch.Tensor:
        """The latents (1, C, h, w) after `step` of `steps`, where `before` was the last step that
        was told. What a multistep sampler remembers is mirrored with them, or it would lead the
        picture back to what it was."""
        for axis, share in ((-1, self.left_right), (-2, self.top_bottom)):
            if share and before < share * steps <= step:
                latents = mirrored(latents, axis)
                _mirror_memory(scheduler, axis, latents.shape)
        return latents


def mirrored(latents: torch.Tensor, axis: int) -> torch.Tensor:
    """The first half and its reflection in place of the other; the middle of an odd number
    stays."""
    size = latents.shape[axis]
    half = latents.narrow(axis, 0, size // 2)
    middle = latents.narrow(axis, size // 2, size % 2)
    return torch.cat([half, middle, half.flip(axis)], axis)


def _mirror_memory(scheduler: Any, axis: int, shape: torch.Size) -> None:
    def mirror(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.shape == shape:
            return mirrored(value, axis)
        return [mirror(item) for item in value] if isinstance(value, list) else value

    for name, value in list(vars(scheduler).items()):
        if isinstance(value, torch.Tensor | list):
            setattr(scheduler, name, mirror(value))
