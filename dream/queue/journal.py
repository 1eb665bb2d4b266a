"""How lines that wait are written down: each line as it is, and each change behind them.

    a red circle -s20
    a blue square
    #^ 1 0
    #- 0

A line is added by standing there. `#- N` takes away the line that is number N by then, from 0;
`#^ N M` moves it to place M. Whoever reads it as a list of prompts takes changes for comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dream.core.plain_text import join_lines_of_text, remove_controls

_REMOVED = re.compile(r"#- (\d{1,9})")
_MOVED = re.compile(r"#\^ (\d{1,9}) (\d{1,9})")


def format_added(lines: Iterable[str]) -> bytes:
    """Lines, as they are written down."""
    return "".join(f"{_one_line(line)}\n" for line in lines).encode(errors="replace")


def format_removed(place: int) -> bytes:
    """That a line is done or given up."""
    return b"#- %d\n" % place


def format_replaced(place: int, lines: Sequence[str], count: int) -> bytes:
    """That other lines stand where one did, of `count` lines; it is written in one piece."""
    moved = (format_moved(count - 1 + n, place + n) for n in range(len(lines)))
    return b"".join([format_removed(place), format_added(lines), *moved])


def format_moved(place: int, to: int) -> bytes:
    """That a line comes sooner."""
    return b"#^ %d %d\n" % (place, to)


def read(data: bytes) -> list[str]:
    """The lines that wait, after all changes. A change that makes no sense is none.
    Whoever wrote them, each stays one line, without control characters."""
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
