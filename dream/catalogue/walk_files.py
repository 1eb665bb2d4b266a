"""Goes through a folder of people's files, in bounded time, past what cannot be read.

A folder may hold links to others, as many people link the folder of another program: they are
followed, but neither in circles nor into the files of the running system.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

DEPTH = 8
"""Levels below a models folder's folder of a kind that are searched."""
_MOST_ENTRIES = 100_000
"""Names that one walk looks at; ten thousand models with their cards, images and notes fit."""
_SYSTEM = ("/proc/", "/sys/")
"""Folders of a running system's state, without an end and without models."""
_BELOW = "**/*"


def walk_files(folder: Path, depth: int, *, through_links: bool = True) -> Iterator[Path]:
    """The regular files in a folder and at most `depth` folders below, sorted by name, without
    hidden ones. Folders that cannot be read have none; `through_links` includes linked folders."""
    return filter(is_file, _walk(folder, depth, through_links))


def list_matches(folder: Path, pattern: str) -> list[Path]:
    """What matches a glob pattern, sorted, as far as folders can be read. A pattern that ends in
    `**/*` stands for all but folders, as far as `walk_files` goes without linked folders."""
    if pattern.endswith(_BELOW):
        return sorted(_walk(folder / pattern.removesuffix(_BELOW), DEPTH, through_links=False))
    found: list[Path] = []
    with suppress(OSError):
        found.extend(folder.glob(pattern))
    return sorted(found)


def is_file(path: Path) -> bool:
    """Whether a regular file is there, and can be reached; `Path` raises where it cannot."""
    with suppress(OSError):
        return path.is_file()
    return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_dir()
    return False


def _walk(folder: Path, depth: int, through_links: bool) -> Iterator[Path]:
    """Everything in a folder and below that is not a folder."""
    left = _MOST_ENTRIES

    def walk(folder: Path, depth: int, above: tuple[str, ...]) -> Iterator[Path]:
        nonlocal left
        real = os.path.realpath(folder)
        if real in above or f"{real}/".startswith(_SYSTEM):
            return
        try:
            with os.scandir(folder) as found:
                entries = list(islice(found, left))
        except OSError:  # it does not exist, or cannot be read
            return
        left -= len(entries)
        for entry in sorted(entries, key=lambda entry: os.path.normcase(entry.name)):
            if entry.name.startswith("."):
                continue
            path = folder / entry.name
            if not _is_folder(entry):
                yield path
            elif depth and (through_links or not entry.is_symlink()):
                yield from walk(path, depth - 1, (*above, real))

    return walk(folder, depth, ())
