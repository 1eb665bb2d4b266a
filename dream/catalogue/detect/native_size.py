"""The native size of a model in a single file."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MIN_SIZE, _MAX_SIZE = 64, 4096
"""Valid range of a model's native resolution, in pixels along a side."""


def read_native_size(metadata: Mapping[str, str], side: int) -> tuple[int, int]:
    """modelspec's resolution if the file has one, else the family's native side, twice."""
    resolution = re.fullmatch(
        r"(\d{2,4})(?:x(\d{2,4}))?", metadata.get("modelspec.resolution", ""), re.ASCII
    )
    if resolution:
        sides = int(resolution[1]), int(resolution[2] or resolution[1])
        if all(_MIN_SIZE <= side <= _MAX_SIZE and side % 8 == 0 for side in sides):
            return sides
    return side, side
