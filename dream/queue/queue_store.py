"""What the queue tells about each change of its lines, to whoever stores them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class QueueStore(Protocol):
    """Stores all unfinished lines, the current one first."""

    def add(self, lines: Sequence[str]) -> None:
        """Add lines at the end."""

    def remove(self, place: int) -> None:
        """Remove the line at this place, from 0: it is finished or cancelled."""

    def move(self, place: int, to: int) -> None:
        """Move the line at this place to another."""

    def replace(self, place: int, lines: Sequence[str]) -> None:
        """Put these lines in place of the one at this place."""

    def write(self, lines: Sequence[str]) -> None:
        """Store these lines and no others."""


class NoStore:
    """Stores nothing."""

    def add(self, lines: Sequence[str]) -> None:
        """Do nothing."""

    def remove(self, place: int) -> None:
        """Do nothing."""

    def move(self, place: int, to: int) -> None:
        """Do nothing."""

    def replace(self, place: int, lines: Sequence[str]) -> None:
        """Do nothing."""

    def write(self, lines: Sequence[str]) -> None:
        """Do nothing."""
