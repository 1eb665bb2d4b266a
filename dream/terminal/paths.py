"""Complete the names of files. Listing a folder stops after a short time limit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

PATIENCE = 0.05
"""Time limit in seconds; the names found by then are offered."""
_MAX_MATCHES = 500


class PathMatch(NamedTuple):
    """A file or folder whose path starts with the typed text."""

    path: str
    """The path as typed; a folder ends in a slash."""
    name: str
    """The last part of the path."""


def find_paths(
    typed: str,
    *,
    within: str = "",
    files: bool = True,
    endings: tuple[str, ...] = (),
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
) -> list[PathMatch]:
    """Return folders and files whose path starts with `typed`, sorted by name; files only with one
    of the endings (lower case, matches any), if there are any. A relative path is relative to
    `within`. Hidden names are included once their dot is typed. The search stops after `patience`
    seconds."""
    head, slash, start = typed.rpartition("/")
    head += slash
    matches: list[PathMatch] = []
    try:
        for entry in _until(clock() + patience, Path(within, Path(head).expanduser()), clock):
            name = entry.name
            if not name.startswith(start) or (name.startswith(".") and not start):
                continue
            if entry.is_dir():
                matches.append(PathMatch(f"{head}{name}/", f"{name}/"))
            elif files and (not endings or name.lower().endswith(endings)):
                matches.append(PathMatch(head + name, name))
            if len(matches) >= _MAX_MATCHES:
                break
    except (OSError, ValueError, RuntimeError):
        pass  # no such folder, no permission, not a path, or an unknown ~user: nothing to offer
    return sorted(matches)


def _until(deadline: float, folder: Path, clock: Callable[[], float]) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if clock() > deadline:
                return
            yield entry
