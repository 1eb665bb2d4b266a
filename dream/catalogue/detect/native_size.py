"""The native size of a model in a single file."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MIN_SIZE, _MAX_SIZE = 64, 4096
"""Valid range of a model's native resolution, in pixels along a side."""


def read_native_size(metadata: Mapping[str, str]) -> tuple[int, int] | None:
    """modelspec's resolution; None if the file has none that is usual."""
    resolution = re.fullmatch(
        r"(\d{2,4})(?:x(\d{2,4}))?", metadata.get("modelspec.resolution", ""), re.ASCII
    )
    if resolution:
        sides = int(resolution[1]), int(resolution[2] or resolution[1])
        if all(_MIN_SIZE <= side <= _MAX_SIZE and side % 8 == 0 for side in sides):
            return sides
    return None
