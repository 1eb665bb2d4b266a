"""Generates the requested size with pipelines that would choose another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import sqrt
from typing import Any

from dream.core.errors import ModelError
from dream.core.recipe import Recipe

NO_RESIZING = {"use_resolution_binning": False, "_auto_resize": False}
"""Arguments of those that have one."""
_SCALING = ("HiDreamImagePipeline",)
"""Those that scale every size to as many pixels as `default_sample_size` says."""
_ROUNDED_UP = 1 + 1e-9
"""They round sides down to whole words of latents, after a square root."""


@contextmanager
def keep_requested_size(pipe: Any, recipe: Recipe) -> Iterator[None]:
    """While a pipeline without such an argument generates the recipe's size. Raises ModelError for
    more pixels than its denoiser takes."""
    if type(pipe).__name__ not in _SCALING:
        yield
        return
    pixels, factor = recipe.width * recipe.height, pipe.vae_scale_factor
    most = pipe.transformer.max_seq * (factor * pipe.transformer.config.patch_size) ** 2
    if pixels > most:
        raise ModelError(
            f"{recipe.model} generates at most {most:,} pixels, not {recipe.width}x{recipe.height}",
            "use a smaller size, and -U2",
        )
    own = pipe.default_sample_size
    pipe.default_sample_size = sqrt(pixels) / factor * _ROUNDED_UP
    try:
        yield
    finally:
        pipe.default_sample_size = own
