"""Pictures at the real prompt, on a pseudo-terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("termios", reason="there are no pseudo-terminals on Windows")

from tests.terminal.pseudo import Terminal

KITTY = "\x1b_Gi=31;OK\x1b\\\x1b[6;20;10t\x1b[?62;c"
PLAIN = "\x1b[?62;22c"

Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    for name in ("TMUX", "STY", "NO_COLOR", "SSH_CONNECTION", "SSH_TTY", "KITTY_WINDOW_ID"):
        monkeypatch.delenv(name, raising=False)
    opened: list[Terminal] = []

    def open_terminal(answers: str, pause: float, keys: str = "") -> Terminal:
        session = ("-m", "tests.terminal.looking", str(tmp_path), str(pause))
        here = Terminal(*session, columns=40, COLORTERM="truecolor")
        opened.append(here)
        here.until(lambda: b"\x1b[c" in here.raw, "question")
        here.send(keys[: len(keys) // 2] + answers + keys[len(keys) // 2 :])
        here.see("dream>")
        return here

    yield open_terminal
    for one in opened:
        one.close()


def test_a_picture_lives_above_the_line_that_is_typed(terminal: Open) -> None:
    here = terminal(PLAIN, 0.2)
    here.send("a cat -s50 -S1\r")
    here.until(lambda: b"48;2;" in here.raw, "colours")
    here.send("a dog")
    here.see_line("a dog")
    here.resize(20, 30)
    here.send(" in the rain")
    here.see_line("a dog in the rain")
    here.send("\x03")
    here.see_line("")
    here.send("\x03")
    here.see("cancelled")
    here.send("\x15q\r")
    assert here.end() == 0
    assert here.state() == here.before


def test_what_was_typed_while_the_terminal_was_asked_is_a_line(
    terminal: Open, tmp_path: Path
) -> None:
    here = terminal(KITTY, 0.0, keys="a cat -S7\r")
    # The terminal of this test knows nothing of kitty's pictures; so look at what it is sent.
    here.until(lambda: b"\x1b_Gm=0\x1b\\" in here.raw, "end of the picture")
    assert b"\x1b_Ga=T" in here.raw
    assert b"c=8,r=4" in here.raw
    assert b"\x1b]8;;file://" in here.raw
    assert len([*(tmp_path / "outputs").glob("*.7.png")]) == 1
    here.send("q\r")
    assert here.end() == 0
    assert here.state() == here.before
