"""Counts a denoiser's calls in one run of a pipeline: the sampler's calls, and the questions in
each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Generic, TypeVar

Slot = TypeVar("Slot")

MAX_SLOTS = 8
"""Questions of one call whose answers are kept; further ones are always computed in full."""


class CallSlots(Generic[Slot]):
    """A slot for each question of a call: pipelines ask once, with guidance perhaps twice, and a
    prompt with several parts asks once for each. A question of the next call has the slot of the
    one in its place."""

    def __init__(self, make_slot: Callable[[], Slot]) -> None:
        self._make_slot = make_slot
        self._slots: list[Slot] = []
        self._asked = 0
        self.call = 0
        """Of the sampler, from 0. Samplers of second order make two calls a step."""

    @contextmanager
    def count(self, scheduler: Any) -> Iterator[None]:
        """While the scheduler's steps end the calls."""
        own = scheduler.step

        @wraps(own)  # pipelines read its signature
        def step(*args: Any, **kwargs: Any) -> Any:
            self.call, self._asked = self.call + 1, 0
            return own(*args, **kwargs)

        scheduler.step = step
        try:
            yield
        finally:
            del scheduler.step

    def next(self) -> Slot | None:
        """The slot of the next question; None if there are too many."""
        place, self._asked = self._asked, self._asked + 1
        if place >= MAX_SLOTS:
            return None
        if place == len(self._slots):
            self._slots.append(self._make_slot())
        return self._slots[place]


@contextmanager
def replace_forward(module: Any, forward: Callable[..., Any]) -> Iterator[None]:
    """While a module is computed by another function; what the module itself had is restored."""
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
