"""Reads lines from standard input as they arrive, in bytes."""

from __future__ import annotations

import select
from collections.abc import Iterator
from io import BufferedIOBase

_SOON = 0.2
"""Seconds in which the next line of a text is expected that a program writes at once."""
_CHUNK = 1 << 16


class StdinLines:
    """Iterates over the lines of a pipe or file, each with its line break."""

    def __init__(self, raw: BufferedIOBase) -> None:
        self._raw, self._rest, self._ended = raw, b"", False

    def __iter__(self) -> Iterator[bytes]:
        while not self._ended or self._rest:
            line, end, rest = self._rest.partition(b"\n")
            if end or self._ended:
                self._rest = rest
                yield line + end
            else:
                self._read()

    def comes_soon(self) -> bool:
        """Whether the next line, or the end, is here or is about to come."""
        if self._ended or b"\n" in self._rest:
            return True
        try:
            return bool(select.select([self._raw], [], [], _SOON)[0])
        except (OSError, ValueError):  # no descriptor, or a pipe on Windows
            return False

    def _read(self) -> None:
        """Read what is there, or wait for some; until a line's end, as partition has linear time
        only then."""
        parts = [self._rest]
        while not self._ended and b"\n" not in parts[-1]:
            parts.append(self._raw.read1(_CHUNK))
            self._ended = not parts[-1]
        self._rest = b"".join(parts)
