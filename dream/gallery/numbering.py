"""Reserves the number of a command: one above the highest in the folder, and unique.

A number is reserved by creating `.000042.claim`, which only one program can do, and then checked
again: if another program used and released it in between, its images exist.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dream.gallery.durable_files import open_exclusive
from dream.gallery.folder import list_names

_PLAUSIBLE = 10**9
"""Names that begin with larger numbers are time stamps of other programs; they do not count."""

_NUMBERED = re.compile(r"([0-9]{1,6}\.|[0-9]{7,}\.(?!(png|jpg|webp|avif)$))")
"""`{seed}.png` names begin with a seed, not with the number of a command."""


@dataclass(frozen=True)
class ReservedNumber:
    """A command's number, reserved until the block ends."""

    number: int

    @property
    def prefix(self) -> str:
        """Six digits or more: 000042."""
        return f"{self.number:06}"


@contextmanager
def reserve_number(folder: Path, guess: int) -> Iterator[ReservedNumber]:
    """The lowest number above all in the folder. `guess` is where the search begins. Raises
    OSError."""
    number = guess
    while True:
        with ExitStack() as stack:
            try:
                file = stack.enter_context(open_exclusive(folder / f".{number:06}.claim"))
            except FileExistsError:
                number += 1
                continue
            free = find_next_number(folder, number)
            if free == number:
                os.write(file, f"{os.getpid()} {platform.node()}\n".encode())
                yield ReservedNumber(number)
                return
            number = free


def find_next_number(folder: Path, least: int = 1) -> int:
    """The lowest number, at least `least`, that is above all images in the folder."""
    heads = {name.partition(".")[0] for name in list_names(folder) if _NUMBERED.match(name)}
    used = {int(head) for head in heads}
    number = max(least, 1 + max((n for n in used if n < _PLAUSIBLE), default=0))
    while number in used:
        number += 1
    return number
