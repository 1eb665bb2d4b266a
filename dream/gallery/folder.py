"""Lists a folder's names, and suggests a similar one for a missing file."""

from __future__ import annotations

import os
from difflib import get_close_matches
from itertools import islice
from pathlib import Path


def list_names(folder: Path) -> list[str]:
    """The names in a folder, in no particular order. Raises OSError."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def suggest_names(path: Path) -> str:
    """A hint for a missing file: `did you mean a.txt or b.txt?`, or an empty string."""
    try:
        names = list_names(path.parent)
    except OSError:
        return ""
    near = get_close_matches(path.name, islice(names, 10_000))
    return f"did you mean {' or '.join(near)}?" if near else ""
