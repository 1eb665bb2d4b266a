"""The prompt of a terminal that can only print: no colours, no menus; the system edits the line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from prompt_toolkit.history import History

from dream.terminal.show import MESSAGE


class PlainPrompt:
    """Asks for lines on standard input, through `write`. History is kept, though no key recalls
    it."""

    def __init__(self, history: History, write: Callable[[str], None]) -> None:
        self._history, self._write = history, write

    def __call__(self, text: str) -> str:
        """One line. Text to begin with cannot be edited here; it is shown, to be copied.

        Raises EOFError at the end of input and KeyboardInterrupt on Ctrl-C.
        """
        former = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self._write(f"{text}\n{MESSAGE}" if text else MESSAGE)
            line = sys.stdin.buffer.readline().decode(errors="replace")
        except KeyboardInterrupt:
            self._write("\n")
            raise
        finally:
            signal.signal(signal.SIGINT, former)
        if not line:
            self._write("\n")
            raise EOFError
        if line.strip():
            self._history.append_string(line.rstrip("\r\n"))
        return line.rstrip("\r\n")
