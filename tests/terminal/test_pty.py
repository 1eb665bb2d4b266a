"""The program on a real pseudo-terminal, as a person has it before them."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals on Windows")
termios = pytest.importorskip("termios", reason="there are no pseudo-terminals on Windows")

_PATIENCE = 60.0
"""Seconds; a slow machine is no failure."""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A child at a pseudo-terminal: `send` presses keys, `see` waits for what appears."""

    def __init__(self, folder: Path, pause: float, **environment: str) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        termios.tcsetwinsize(self.slave, (24, int(environment.pop("COLS", "80"))))
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.terminal.session", str(folder), str(pause)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=os.environ | {"TERM": "xterm-256color"} | environment,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # our own terminal
        )
        self.raw = ""
        self._seen = 0

    def send(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def see(self, text: str) -> None:
        """Wait for a text to appear after the one that was seen last."""
        give_up = time.monotonic() + _PATIENCE
        while (at := self.plain.find(text, self._seen)) < 0:
            assert time.monotonic() < give_up, f"no “{text}” in: {self.plain[self._seen :]!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                data = os.read(self.master, 65536).decode(errors="replace")
                self.raw += data
                if "\x1b[6n" in data:
                    self.send("\x1b[3;1R")  # as a terminal says where its cursor is
        self._seen = at + len(text)

    @property
    def plain(self) -> str:
        return _ESCAPES.sub("", self.raw)

    def leave(self) -> int:
        """Press Ctrl-D; the exit status."""
        self.send("\x04")
        return self.child.wait(_PATIENCE)

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self.master)
        os.close(self.slave)


Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def open_terminal(pause: float = 0.0, **environment: str) -> Terminal:
        opened.append(Terminal(tmp_path, pause, **environment))
        opened[-1].see("dream>")
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


def test_a_session(terminal: Open, tmp_path: Path) -> None:
    here = terminal()
    here.send("a cat -S42\r")
    here.see("(-S42)")
    here.see("dream>")
    here.send("\x1b[A")
    here.see("a cat -S42")
    here.send("\x7f3\r")
    here.see("(-S43)")
    here.see("dream>")
    here.send("\x12S42")
    here.see("cat -S")
    here.send("\r\r")
    here.see("(-S42)")
    here.see("dream>")
    here.send("--samp\t")
    here.see("--sampler")
    here.send("\x03\x03")
    here.see("press Ctrl-D")
    assert here.leave() == 0
    assert termios.tcgetattr(here.slave) == here.before
    assert len(list((tmp_path / "outputs").glob("*.png"))) == 3


def test_ctrl_c_at_a_picture_and_keys_pressed_meanwhile(terminal: Open, tmp_path: Path) -> None:
    here = terminal(pause=0.2)
    here.send("a cat -s500 -S1\r")
    here.see("2/500")
    here.send("a dog -s1 -S2\r")
    here.see("4/500")
    assert "dog" not in here.plain
    here.send("\x03")
    here.see("cancelled")
    here.see("(-S2)")
    here.see("dream>")
    here.send("half")
    here.see("half")
    os.kill(here.child.pid, signal.SIGINT)
    here.send("a bird -s1 -S3\r")
    here.see("(-S3)")
    here.see("dream>")
    assert here.leave() == 0
    assert termios.tcgetattr(here.slave) == here.before


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"COLS": "20"}, {"LC_ALL": "C"}], ids=str
)
def test_poorer_terminals(terminal: Open, environment: dict[str, str]) -> None:
    here = terminal(**environment)
    here.send("猫 and a cat -S42\r")
    here.see("S42)")
    here.send("a cat -stpes\r")
    here.see("^")
    here.see("dream>")
    assert here.leave() == 0
    if "TERM" in environment:
        assert "\x1b" not in here.raw
    if "NO_COLOR" in environment:
        assert not re.search(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])m", here.raw)
