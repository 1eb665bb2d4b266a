"""A door: a group of paths with their own way to say what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute

from dream.web.refusal import Refusal, format_own_error
from dream.web.services import WebServices


def _run_nothing() -> AbstractAsyncContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Door:
    """One way into the session."""

    prefixes: tuple[str, ...]
    """The beginnings of its paths, such as `/v1/`; the door with `/` has the rest."""
    routes: Sequence[BaseRoute]
    format_error: Callable[[Refusal], Any] = format_own_error
    """From a refusal to the JSON of the answer."""
    lifespan: Callable[[], AbstractAsyncContextManager[None]] = _run_nothing
    """Runs while the server runs."""


MakeDoor = Callable[[WebServices], Door]
