"""Keeps the latest encodings of a model, by their text and what changes an encoder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

_CACHED = 64
"""Encodings that a model keeps. One of SDXL is 0.3 MiB, one of Flux 4 MiB."""


class EncodingCache:
    """The latest encodings of one model, the last used at the end."""

    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """What was kept for a key, or None."""
        if key not in self._made:
            return None
        self._made.move_to_end(key)
        return self._made[key]

    def add(self, key: Hashable, value: Any) -> None:
        """Keep a value; the one used longest ago gives way."""
        self._made[key] = value
        while len(self._made) > _CACHED:
            self._made.popitem(last=False)
