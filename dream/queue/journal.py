"""The format of the queue file: each line as it is, followed by the changes.

    a red circle -s20
    a blue square
    #^ 1 0
    #- 0

A line by itself adds a line. `#- N` removes line N of the lines so far, from 0; `#^ N M` moves it
to place M. Read as a list of prompts, changes are comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dream.core.plain_text import join_lines_of_text, remove_controls

_REMOVED = re.compile(r"#- (\d{1,9})")
_MOVED = re.compile(r"#\^ (\d{1,9}) (\d{1,9})")


def format_added(lines: Iterable[str]) -> bytes:
    """Lines in the format of the file."""
    return "".join(f"{_one_line(line)}\n" for line in lines).encode(errors="replace")


def format_removed(place: int) -> bytes:
    """The change for a line that is done or cancelled."""
    return b"#- %d\n" % place


def format_replaced(place: int, lines: Sequence[str], count: int) -> bytes:
    """The change that replaces one of `count` lines by others, written at once."""
    moved = (format_moved(count - 1 + n, place + n) for n in range(len(lines)))
    return b"".join([format_removed(place), format_added(lines), *moved])


def format_moved(place: int, to: int) -> bytes:
    """The change for a line that moves to an earlier place."""
    return b"#^ %d %d\n" % (place, to)


def read(data: bytes) -> list[str]:
    """The waiting lines after all changes; invalid changes are ignored. Each is a single line
    without control characters, whatever the file contains."""
    lines: list[str] = []
    for line in data.decode(errors="replace").split("\n"):
        if change := _REMOVED.fullmatch(line):
            del lines[int(change[1]) : int(change[1]) + 1]
        elif change := _MOVED.fullmatch(line):
            place, to = int(change[1]), int(change[2])
            if place < len(lines):
                lines.insert(to, lines.pop(place))
        elif line.strip():
            lines.append(remove_controls(line))
    return lines


def _one_line(line: str) -> str:
    line = join_lines_of_text(line)
    return f" {line}" if line.startswith("#") else line
