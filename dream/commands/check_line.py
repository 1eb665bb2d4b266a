"""A line before it is entered: what it would make or do, or what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dream.commands.command import Context
from dream.commands.dispatch import find_command, is_command, without_prefix
from dream.core.errors import BadLine, DreamError
from dream.line import is_skipped
from dream.session import summarize_plan

_DASHED = re.compile(r"(?:^|\s)[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]{1,2}[A-Za-z]\S{0,20}")
"""A word that begins with a dash of typography, or a full-width one, and a letter."""
_COMMA = re.compile(r"\s-{1,2}[A-Za-z]\S{0,20}(?:\s[^\s-]\S{0,20})?[\uff0c\u3001]\S{0,20}")
_QUOTE = re.compile(
    r"(?:^|\s-{1,2}[A-Za-z][A-Za-z0-9_-]{0,20}[\s=]?)[\u2018\u2019\u201c\u201d\uff02\uff07]\S{0,20}"
)
"""A quote of typography, or a full-width one, at the beginning of a prompt or of a value."""


@dataclass(frozen=True)
class CheckResult:
    """What to say about a line."""

    text: str
    wrong: bool = False
    column: int = 0
    """Of what is wrong or incomplete, from 1; 0 is the whole line."""


def check_line(context: Context, line: str) -> CheckResult | None:
    """What a line would make or do, or why it cannot; None when there is nothing to say."""
    typed = line.strip()
    if is_skipped(typed):
        return None
    try:
        if is_command(typed):
            return _command(context, without_prefix(typed).split()[0])
        summary = str(summarize_plan(context.session, line))
        return CheckResult(f"{summary}; {odd}" if (odd := _odd_characters(typed)) else summary)
    except DreamError as error:
        column = getattr(error, "column", 0)
        # The word at the end is still being typed: it is reported as incomplete, not as wrong.
        unfinished = not line[-1].isspace() and column > line.rfind(" ")
        odd = _odd_characters(typed)
        text = f"{_format_error(error)}; {odd}" if odd else _format_error(error)
        return CheckResult(text, wrong=not unfinished, column=column)
    except Exception as error:  # a bug; Enter reports it in full
        return CheckResult(f"{type(error).__name__}: {error}", wrong=True)


def _odd_characters(line: str) -> str:
    """What to say of characters that only look like those of switches and commands, as input
    methods and word processors put them in."""
    if line.startswith("\uff01"):
        return "a command begins with an ASCII !"
    if line.startswith('"'):
        line = line[line.rfind('" ') + 1 :]
    if match := _DASHED.search(line):
        return f"“{match[0].strip()}” is not a switch: a switch begins with an ASCII -"
    if match := _COMMA.search(line):
        return f"“{match[0].strip()}”: a list of values has ASCII commas"
    if match := _QUOTE.search(line):
        return f'{match[0].strip()}: text is quoted with an ASCII "'
    return ""


def _command(context: Context, name: str) -> CheckResult | None:
    try:
        command = find_command(context.commands, name)
    except BadLine as error:
        begun = any(command.name.startswith(name) for command in context.commands)
        return None if begun else CheckResult(_format_error(error), wrong=True)
    return CheckResult(f"{command.name} {command.usage}".rstrip() + f": {command.help}")


def _format_error(error: DreamError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
