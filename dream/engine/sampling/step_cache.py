"""`--cache`: some calls of a denoiser are computed in full, the others from what those found."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from dream.core.errors import ModelError
from dream.engine.sampling.deep_cache import DeepCache
from dream.engine.sampling.taylor_cache import TaylorCache


def use_step_cache(
    pipe: Any,
    interval: int | None,
    model: str,
    beside: Sequence[Any] = (),
    get_state: Callable[[], Hashable] = lambda: None,
) -> AbstractContextManager[None]:
    """While a pipeline runs once, with its scheduler set: with a full pass every `interval` calls,
    undone at the end; None changes nothing.

    beside: ControlNets that the denoiser asks in each call; get_state: what a call depends on
    besides its arguments. Where it changes, the call is a full pass. Raises ModelError for a model
    without a denoiser that is known here.
    """
    if interval is None:
        return nullcontext()
    unet = getattr(pipe, "unet", None)
    if hasattr(unet, "down_blocks") and hasattr(unet, "up_blocks"):
        return DeepCache(interval, get_state).over(unet, pipe.scheduler, beside)
    if (transformer := getattr(pipe, "transformer", None)) is not None:
        return TaylorCache(interval, get_state).over(transformer, pipe.scheduler)
    raise ModelError(f"{model} does not support --cache", "remove --cache")
