"""SDXL's refiner, painting from words: it asks for a mark of beauty where the base asks for sizes.

Podell et al. 2023, arXiv:2307.01952.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline

SCORE = 6.0
"""Of 10: what diffusers' own refining pipeline asks for."""


class RefinerPipeline(StableDiffusionXLPipeline):  # type: ignore[misc]
    """A refiner alone: one text encoder, and a score in place of the target's size."""

    def _get_add_time_ids(
        self,
        original_size: tuple[int, int],
        crops_coords_top_left: tuple[int, int],
        target_size: tuple[int, int],
        dtype: torch.dtype,
        text_encoder_projection_dim: int | None = None,
    ) -> Any:
        numbers = [*original_size, *crops_coords_top_left, SCORE]
        return torch.tensor([numbers], dtype=dtype)
