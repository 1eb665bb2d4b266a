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
        session = ("-m", "tests.terminal.previewing_session", str(tmp_path), str(pause))
        term = Terminal(*session, columns=40, COLORTERM="truecolor")
        opened.append(term)
        term.until(lambda: b"\x1b[c" in term.raw, "question")
        term.send(keys[: len(keys) // 2] + answers + keys[len(keys) // 2 :])
        term.see("dream>")
        return term

    yield open_terminal
    for one in opened:
        one.close()


def test_a_picture_lives_above_the_line_that_is_typed(terminal: Open) -> None:
    term = terminal(PLAIN, 0.2)
    term.send("a cat -s50 -S1\r")
    term.until(lambda: b"48;2;" in term.raw, "colours")
    term.send("a dog")
    term.see_line("a dog")
    term.resize(20, 30)
    term.send(" in the rain")
    term.see_line("a dog in the rain")
    term.send("\x03")
    term.see_line("")
    term.send("\x03")
    term.see("cancelled")
    term.send("\x15q\r")
    assert term.end() == 0
    assert term.state() == term.before


def test_what_was_typed_while_the_terminal_was_asked_is_a_line(
    terminal: Open, tmp_path: Path
) -> None:
    term = terminal(KITTY, 0.0, keys="a cat -S7\r")
    # The terminal of this test knows nothing of kitty's pictures; so look at what it is sent.
    term.until(lambda: b"\x1b_Gm=0\x1b\\" in term.raw, "end of the picture")
    assert b"\x1b_Ga=T" in term.raw
    assert b"c=8,r=4" in term.raw
    assert b"\x1b]8;;file://" in term.raw
    assert len([*(tmp_path / "outputs").glob("*.7.png")]) == 1
    term.send("q\r")
    assert term.end() == 0
    assert term.state() == term.before
