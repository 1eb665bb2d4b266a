"""Extrapolates the output of a transformer between its full passes: TaylorSeer, Liu et al. 2025,
arXiv:2503.06923, of first order, for the last layer.

diffusers has hooks for it, which need a `cache_context` that many pipelines do not set (Stable
Diffusion 3, Z-Image, Lumina 2, Chroma, most that begin from an image) and a last layer of a certain
name. The output itself is the same prediction for every architecture, and needs no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from dream.engine.sampling.call_slots import CallSlots, replace_forward

WARM_UP = 2
"""Calls at the beginning, and after every change, that are full passes: as many as the
extrapolation needs."""


class _Passes:
    """The last two full passes of one question, each with its call: the last one first."""

    def __init__(self) -> None:
        self.depend_on: Any = None
        """The shapes of the arguments, and the state."""
        self.found: list[tuple[int, Any]] = []


class TaylorCache:
    """Takes the place of a denoiser's `forward` for one run of a pipeline."""

    def __init__(self, interval: int, get_state: Callable[[], Hashable] = lambda: None) -> None:
        """Every so many calls is a full pass, after the first two; and two where the state that a
        call depends on is another than in the last one."""
        self._interval, self._get_state = interval, get_state
        self._slots = CallSlots(_Passes)
        self._forward: Any = None

    @contextmanager
    def over(self, denoiser: Any, scheduler: Any) -> Iterator[None]:
        """While the denoiser is asked through it, and the scheduler's steps are counted."""
        self._forward = denoiser.forward
        with ExitStack() as stack:
            stack.enter_context(self._slots.count(scheduler))
            stack.enter_context(replace_forward(denoiser, self))
            yield

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the denoiser's, of any signature. Inputs of other shapes than the last full pass's
        are computed in full."""
        passes, call = self._slots.next(), self._slots.call
        if passes is None:
            return self._forward(*args, **kwargs)
        depend_on = _shapes((args, sorted(kwargs.items()))), self._get_state()
        if passes.depend_on != depend_on:
            passes.depend_on, passes.found = depend_on, []
        if len(passes.found) < WARM_UP or (call - 1) % self._interval == 0:
            output = self._forward(*args, **kwargs)
            passes.found = [(call, output), *passes.found[:1]]
            return output
        (last, output), (before, older) = passes.found
        if last == before:
            return output
        return _extrapolate(output, older, (call - last) / (last - before))


def _shapes(value: Any) -> Any:
    """The shapes of all tensors in arguments."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if isinstance(value, dict):
        return tuple(_shapes(item) for item in sorted(value.items()))
    return tuple(map(_shapes, value)) if isinstance(value, list | tuple) else None


def _extrapolate(last: Any, before: Any, by: float) -> Any:
    """The output that continues from `before` over `last`, computed in float32; in the form and
    number type of `last`."""
    if isinstance(last, torch.Tensor):
        continued = last.float() + (last.float() - before.float()) * by
        return continued.to(last.dtype)
    if isinstance(last, dict):
        return type(last)(**{key: _extrapolate(last[key], before[key], by) for key in last})
    if isinstance(last, list | tuple):
        return type(last)(_extrapolate(*pair, by) for pair in zip(last, before, strict=True))
    return last
