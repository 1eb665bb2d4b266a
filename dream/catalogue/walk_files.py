"""Goes through a folder of people's files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def walk_files(folder: Path, depth: int, *, through_links: bool = True) -> Iterator[Path]:
    """The regular files in a folder and at most `depth` folders below, sorted by name, without
    hidden ones. Folders that cannot be read have none; `through_links` includes linked folders."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # it does not exist, or cannot be read
        return
    for path in entries:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if depth and (through_links or not path.is_symlink()):
                yield from walk_files(path, depth - 1, through_links=through_links)
        elif path.is_file():
            yield path
