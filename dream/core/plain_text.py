"""Makes untrusted text safe for one line, for a terminal, and for JSON.

Text from a file, a name or another program can contain line breaks, cursor movements, colours,
clipboard and title commands (ECMA-48's C0 and C1 controls), or characters that change the reading
direction. `print_text` is the only way for text to reach a terminal or a pipe.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Protocol

from dream.core.environment import close_output

_BREAKS = re.compile("\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
"""Every character at which Unicode or Python's `splitlines` ends a line."""
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_JOINERS = "\u200c\u200d\ufe0f"
"""Format characters that words and emoji need, and that are harmless."""
_LONGEST_NAME = 120
"""The longest names of tensors are half of that."""


class Writable(Protocol):
    """A text stream."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> None: ...


def join_lines_of_text(text: str) -> str:
    """The text with a space for each of Unicode's line breaks."""
    return _BREAKS.sub(" ", text)


def remove_controls(text: str) -> str:
    """The text on one line, with a space for each control character."""
    return _CONTROLS.sub(" ", join_lines_of_text(text))


def shorten_name(name: str) -> str:
    """A name from a file, short enough for a message."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def make_printable(text: str) -> str:
    """The text with � for each character that is not printable, such as cursor movements, colours
    and line breaks."""
    return "".join(c if c.isprintable() or c in _JOINERS else "�" for c in text)


class OutputError(OSError):
    """The output cannot be written, e.g. `> file` on a full disk. The text is a message."""


def print_text(text: str, out: Writable, end: str = "\n") -> None:
    """Write text of one or several rows, with each row made printable. Raises OutputError,
    BrokenPipeError."""
    print_styled("\n".join(map(make_printable, text.split("\n"))) + end, out)


def print_styled(text: str, out: Writable) -> None:
    """Write terminal output of dream itself: images, progress bars, colours. Text of files, names
    and messages in it must have gone through `make_printable`. Raises OutputError and
    BrokenPipeError; errors of standard error cannot be reported and are ignored."""
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if out is sys.stderr:
            close_output("stderr")
            return
        why = error.strerror or str(error)
        raise OutputError(f"the output cannot be written: {why}") from error


def format_json(value: object) -> str:
    """A value as JSON on one line, with characters that are not printable escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    """A character as a JSON escape, in UTF-16."""
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
