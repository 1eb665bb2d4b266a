"""FreeU: backbone features of a UNet are amplified, those of its skip connections damped in the low
frequencies (Si et al. 2023, arXiv:2309.11497). The factors are those that its authors publish."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dream.core.errors import ModelError

_FACTORS = {
    "sd1": {"s1": 0.9, "s2": 0.2, "b1": 1.5, "b2": 1.6},
    "sd2": {"s1": 0.9, "s2": 0.2, "b1": 1.4, "b2": 1.6},
    "sdxl": {"s1": 0.9, "s2": 0.2, "b1": 1.3, "b2": 1.4},
}
"""By family: of the skip connections, and of the backbone, in the first and second up block."""


@contextmanager
def use_free_u(pipe: Any, family: str, model: str, wanted: bool) -> Iterator[None]:
    """The pipeline with FreeU, if wanted; undone at the end. Raises ModelError for a model without
    a UNet."""
    if not wanted:
        yield
        return
    unet = getattr(pipe, "unet", None)
    if unet is None or family not in _FACTORS:
        raise ModelError(f"{model} does not support --freeu", "remove --freeu")
    unet.enable_freeu(**_FACTORS[family])
    try:
        yield
    finally:
        unet.disable_freeu()
