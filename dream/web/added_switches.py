"""Switches that a client adds to its own fields."""

from __future__ import annotations

from dataclasses import replace

from dream.core.errors import BadLine
from dream.core.request import Request
from dream.line import parse_line

_NO_PROMPT = '"" '
_MAX_SWITCHES = 4000
"""Characters."""


def apply_switches(request: Request, switches: str) -> Request:
    """The request with the switches of a line, such as `-U2 --seamless`. They are read as at the
    prompt, but may hold no prompt and no command. Raises BadLine."""
    if not switches.strip():
        return request
    if len(switches) > _MAX_SWITCHES or not switches.isprintable():
        raise BadLine("the switches have to be one short line")
    if not switches.lstrip().startswith("-"):
        raise BadLine("switches begin with “-”", 0, "put words into the prompt")
    try:
        parsed = parse_line(f"{_NO_PROMPT}{switches}", replace(request, prompt=""))
    except BadLine as error:
        column = max(0, error.column - len(_NO_PROMPT))
        raise BadLine(error.message, column, error.hint) from None
    if parsed.prompt:
        raise BadLine("there are words besides the switches", 0, "put them into the prompt")
    return replace(parsed, prompt=request.prompt)
