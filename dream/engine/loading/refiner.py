"""SDXL's refiner as a text-to-image pipeline: it takes an aesthetic score where the base model
takes sizes.

Podell et al. 2023, arXiv:2307.01952.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline

AESTHETIC_SCORE = 6.0
"""Of 10: the default of diffusers' refiner pipeline."""


class RefinerPipeline(StableDiffusionXLPipeline):  # type: ignore[misc]
    """A refiner alone: one text encoder, and a score instead of the target size."""

    def _get_add_time_ids(
        self,
        original_size: tuple[int, int],
        crops_coords_top_left: tuple[int, int],
        target_size: tuple[int, int],
        dtype: torch.dtype,
        text_encoder_projection_dim: int | None = None,
    ) -> Any:
        numbers = [*original_size, *crops_coords_top_left, AESTHETIC_SCORE]
        return torch.tensor([numbers], dtype=dtype)

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        """Saved as the pipeline that refiners usually have, so that every program of diffusers
        loads it."""
        StableDiffusionXLImg2ImgPipeline(
            **self.components,
            requires_aesthetics_score=True,
            force_zeros_for_empty_prompt=False,
            add_watermarker=False,
        ).save_pretrained(save_directory, **kwargs)
