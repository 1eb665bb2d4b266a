"""The line being typed is checked before Enter, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prompt_toolkit.buffer import Buffer

from dream.commands import Context
from dream.commands.check_line import CheckResult, check_line

_PAUSE = 0.2
"""Seconds without a key before a line is looked at."""


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
