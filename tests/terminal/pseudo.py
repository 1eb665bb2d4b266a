"""A pseudo-terminal with a person before it: presses keys, and sees the screen."""

from __future__ import annotations

import os
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

PATIENCE = 60.0
"""Seconds; a slow machine is no failure."""

ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """A program at a pseudo-terminal. `raw` is all it has written."""

    def __init__(self, *arguments: str, rows: int = 24, columns: int = 80, **env: str) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.child = pexpect.spawn(
            sys.executable,
            list(arguments),
            env=os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)} | env,
            dimensions=(rows, columns),
            echo=True,
        )
        self.before = self.state()

    def state(self) -> list[object]:
        """The terminal's settings."""
        return termios.tcgetattr(self.child.child_fd)

    def send(self, keys: str) -> None:
        """Press keys."""
        self.child.send(keys)

    def paste(self, text: str) -> None:
        """As a terminal does that was asked to bracket what is pasted."""
        self.send(f"\x1b[200~{text}\x1b[201~")

    def rows(self) -> list[str]:
        """What stands on the screen."""
        return [row.rstrip() for row in self.screen.display]

    def unwrapped(self) -> str:
        """What stands on the screen, a line each; a row that is full goes on in the next."""
        full = self.screen.columns
        return "".join(row + "\n" * (len(row) < full) for row in self.rows())

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        give_up = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < give_up, f"no {what} on:\n" + "\n".join(self.rows())
            self.read(0.2)

    def read(self, seconds: float) -> None:
        """Take in what is written within so many seconds, at most."""
        try:
            data = self.child.read_nonblocking(65536, seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return
        self.raw += data
        self._stream.feed(data)

    def see(self, text: str) -> None:
        """Wait for a text to stand on the screen, if need be over the end of a row."""
        self.until(lambda: text in self.unwrapped(), f"“{text}”")

    def line(self) -> str:
        """What stands in the edit line."""
        return next((row for row in reversed(self.rows()) if row.startswith("dream>")), "")

    def see_line(self, text: str) -> None:
        """Wait for the edit line to hold just this."""
        self.until(lambda: self.line() == f"dream> {text}".rstrip(), f"edit line “{text}”")

    def resize(self, rows: int, columns: int) -> None:
        """As when its window is dragged."""
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def end(self) -> int:
        """Wait for the program to end; its exit status, or the negative number of its signal."""
        self.until(lambda: not self.child.isalive(), "end")
        self.read(0.1)
        return (
            self.child.exitstatus if self.child.signalstatus is None else -self.child.signalstatus
        )

    def close(self) -> None:
        """Kill what is still there."""
        self.child.close(force=True)
