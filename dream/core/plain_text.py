"""Text from anywhere, made fit for one line, for a terminal, and for JSON.

What a file, a name or another program says may hold line breaks, cursor movements, colours,
clipboard and title commands (ECMA-48's C0 and C1 controls), or characters that turn the reading
direction. `print_text` is the one way by which text reaches a terminal or a pipe.
"""

from __future__ import annotations

import json
import re
from typing import Protocol

_BREAKS = re.compile("\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
"""Every character that Unicode or Python's `splitlines` ends a line at."""
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_JOINERS = "\u200c\u200d\ufe0f"
"""Format characters that words and emoji are written with, and that do nothing else."""


class Writable(Protocol):
    """What is asked of a stream."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> None: ...


def join_lines_of_text(text: str) -> str:
    """The text with a space for each line break, whichever of Unicode's it is."""
    return _BREAKS.sub(" ", text)


def remove_controls(text: str) -> str:
    """The text on one line, with a space for each control character."""
    return _CONTROLS.sub(" ", join_lines_of_text(text))


def make_printable(text: str) -> str:
    """Text that moves no cursor and changes no colours: what cannot be shown is shown as �, one
    for one. A line break too."""
    return "".join(c if c.isprintable() or c in _JOINERS else "�" for c in text)


def print_text(text: str, out: Writable, end: str = "\n") -> None:
    """Write text that may have several rows, each of them printable."""
    out.write("\n".join(map(make_printable, text.split("\n"))) + end)
    out.flush()


def print_styled(text: str, out: Writable) -> None:
    """Write what dream itself made for a terminal: pictures, progress bars, colours. Nothing from
    a file's text, a name or a message may be in it that did not go through `printable`."""
    out.write(text)
    out.flush()


def format_json(value: object) -> str:
    """A value as JSON on one line, in which whatever is not printable is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    """As JSON escapes it, in UTF-16."""
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
