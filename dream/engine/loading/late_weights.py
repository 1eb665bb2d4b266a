"""A denoiser's weights that are copied from their file when something needs them.

Another engine that computes the denoiser does not need torch's. Until they are copied, the
parameters have their shapes and dtypes, memory that the system has not given yet, and no values.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class LateWeights:
    """Those of one model; complete unless a copy was added."""

    def __init__(self) -> None:
        self._copy: Callable[[], None] | None = None
        self._lock = Lock()
        self.was_added = False
        """Whether any were left for later."""

    @property
    def is_complete(self) -> bool:
        """Whether they were copied."""
        return self._copy is None

    def add(self, copy: Callable[[], None]) -> None:
        """Copy them so, later."""
        self._copy, self.was_added = copy, True

    def complete(self) -> None:
        """Copy them, unless they were copied. Raises what copying raises; then they are not
        complete."""
        with self._lock:
            if self._copy is not None:
                self._copy()
                self._copy = None
