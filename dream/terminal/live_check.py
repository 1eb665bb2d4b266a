"""The line being typed, judged before Enter: what it would make, or what is wrong with it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

from prompt_toolkit.buffer import Buffer

from dream.commands import Context, find_command, is_command, without_prefix
from dream.core.errors import BadLine, DreamError
from dream.line import is_skipped
from dream.session import summarize_plan

_PAUSE = 0.2
"""Seconds without a key before a line is looked at."""


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


class LineChecker:
    """Looks at the edit line in a thread of its own, a moment after it was changed; never holds
    up a key, however slow the disk with the models is."""

    def __init__(self, context: Context, show: Callable[[CheckResult | None], None]) -> None:
        self._context, self._show = context, show
        self._soon: asyncio.TimerHandle | None = None

    def on_change(self, buffer: Buffer) -> None:
        """The line was changed. For a Buffer's `on_text_changed`."""
        if self._soon is not None:
            self._soon.cancel()
        if not buffer.text.strip():
            self._show(None)
            return
        self._soon = asyncio.get_running_loop().call_later(_PAUSE, self._start_check, buffer)

    def on_enter(self) -> None:
        """The line was entered: its result is cleared, and a check that waits is not begun.
        prompt_toolkit reports no change when the next line is empty."""
        if self._soon is not None:
            self._soon.cancel()
        self._show(None)

    def _start_check(self, buffer: Buffer) -> None:
        text = buffer.text

        def done(finished: asyncio.Future[CheckResult | None]) -> None:
            if not finished.cancelled() and buffer.text == text:
                self._show(finished.result())

        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, check_line, self._context, text).add_done_callback(done)


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
        return CheckResult(text, wrong=not unfinished)
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
