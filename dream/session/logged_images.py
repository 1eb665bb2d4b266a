"""Which images of a batch are done: those whose line is in the log."""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dream.core.events import Saved
from dream.core.request import Request
from dream.gallery import LOG_NAME
from dream.gallery.log import join_lines
from dream.line import format_line, parse_facts, parse_log_line

_LONGEST = 1 << 28
"""Bytes of a log."""


class LoggedImages:
    """The images that were saved since a batch began. Each is taken once, so that one of two equal
    lines can be done."""

    def __init__(self, logs: Mapping[str, int]) -> None:
        """`logs` are the bytes that each folder's log had when it began."""
        self._logs = logs
        self._folders: dict[Path, dict[str, deque[tuple[Path, str]]]] = {}
        self.taken = 0
        """How many were found."""

    def take(self, folder: Path, request: Request) -> Saved | None:
        """The image that was made of a request with nothing open, saved in this folder."""
        line = format_line(request)
        found = self._read(folder).get(join_lines(line))
        if not found:
            return None
        self.taken += 1
        path, sha256 = found.popleft()
        return Saved(path=path, line=line, sha256=sha256, request=request)

    def _read(self, folder: Path) -> dict[str, deque[tuple[Path, str]]]:
        if folder not in self._folders:
            lines: dict[str, deque[tuple[Path, str]]] = defaultdict(deque)
            for text in _read_from(folder / LOG_NAME, self._logs.get(str(folder), 0)):
                logged = parse_log_line(text)
                if logged.path is not None:
                    sha256 = parse_facts(logged.comment).get("sha256", "")
                    lines[logged.line].append((folder / Path(logged.path).name, sha256))
            self._folders[folder] = lines
        return self._folders[folder]


def _read_from(log: Path, offset: int) -> list[str]:
    """The lines of a log from this byte on; all, if it is shorter by now."""
    with suppress(OSError), log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(offset if offset <= size else 0)
        return file.read(_LONGEST).decode(errors="replace").split("\n")
    return []
