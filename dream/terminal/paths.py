"""Names of files, half typed. Listing a folder never takes longer than a person notices."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

PATIENCE = 0.05
"""Seconds; what was found by then is offered."""
_MOST = 500


class PathMatch(NamedTuple):
    """A file or folder that goes on from what was typed."""

    path: str
    """As it would be typed; a folder ends in a slash."""
    name: str
    """Its last part."""


def find_paths(
    typed: str,
    *,
    within: str = "",
    files: bool = True,
    endings: tuple[str, ...] = (),
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
) -> list[PathMatch]:
    """What goes on from `typed`, by name: folders and, of files, those with one of the endings
    or all. A relative path counts from `within`. Hidden names show once their dot is typed."""
    head, slash, start = typed.rpartition("/")
    head += slash
    found: list[PathMatch] = []
    try:
        for entry in _until(clock() + patience, Path(within, Path(head).expanduser()), clock):
            name = entry.name
            if not name.startswith(start) or (name.startswith(".") and not start):
                continue
            if entry.is_dir():
                found.append(PathMatch(f"{head}{name}/", f"{name}/"))
            elif files and (not endings or name.endswith(endings)):
                found.append(PathMatch(head + name, name))
            if len(found) >= _MOST:
                break
    except (OSError, ValueError, RuntimeError):
        pass  # no such folder, not for us, no path at all, nobody's ~home: nothing to offer
    return sorted(found)


def _until(deadline: float, folder: Path, clock: Callable[[], float]) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if clock() > deadline:
                return
            yield entry
