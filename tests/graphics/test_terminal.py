from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

import pytest

from dream.graphics import Terminal, TerminalImages, detect_terminal_images
from dream.graphics.terminal import Answers, Tmux, describe_terminal
from dream.graphics.terminal_query import MOST_HEARD, parse_answers, query_terminal

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals on Windows")
termios = pytest.importorskip("termios", reason="there are no pseudo-terminals on Windows")

KITTY = b"\x1b_Gi=31;OK\x1b\\"
DA1 = b"\x1b[?62;22c"
SIXEL = b"\x1b[?62;4;22c"
CELL = b"\x1b[6;20;10t"


@dataclass
class FakeTerminal:
    """Answers like a terminal, once it was asked; `typed` comes before and after the answers."""

    answers: bytes = b""
    typed: bytes = b""
    asked: bytes = b""
    master: int = field(init=False)
    slave: TextIO = field(init=False)

    def __enter__(self) -> FakeTerminal:
        self.master, slave = pty.openpty()
        self.slave = os.fdopen(slave, "w", encoding="utf-8")
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.slave.close()
        self._thread.join(5)
        os.close(self.master)

    def _answer(self) -> None:
        try:
            while not self.asked.endswith(b"\x1b[c"):
                self.asked += os.read(self.master, 4096)
            for start in range(0, len(self.said), 7):  # in pieces, as over a slow line
                os.write(self.master, self.said[start : start + 7])
                time.sleep(0.001)
            while True:
                self.asked += os.read(self.master, 4096)
        except OSError:
            pass  # the other end was closed

    @property
    def said(self) -> bytes:
        return self.typed + self.answers + self.typed


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("TMUX", "STY", "NO_COLOR", "SSH_CONNECTION", "SSH_TTY", "KITTY_WINDOW_ID"):
        monkeypatch.delenv(name, raising=False)
    yield


@pytest.mark.parametrize(
    "answers, protocol",
    [
        (KITTY + CELL + DA1, "kitty"),
        (CELL + SIXEL, "sixel"),
        (b"\x1bP>|iTerm2 3.5.0\x1b\\" + DA1, "iterm2"),
        (b"\x1bP>|WezTerm 20240203\x1b\\" + SIXEL, "iterm2"),
        (b"\x1b_Gi=31;ENOTSUP:no\x1b\\" + DA1, "symbols"),
        (DA1, "symbols"),
    ],
)
def test_a_terminals_answers_decide(answers: bytes, protocol: str) -> None:
    # The variable is of another terminal, from which this one was started.
    environment = {"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}
    with FakeTerminal(answers) as there:
        before = termios.tcgetattr(there.slave)
        pictures, typed = detect_terminal_images(there.slave, there.slave, environment=environment)
        assert termios.tcgetattr(there.slave) == before
    assert isinstance(pictures, TerminalImages)
    assert pictures.terminal.protocol == protocol
    assert pictures.terminal.cell == ((10, 20) if CELL in answers else (8, 16))
    assert typed == ""


def test_keys_typed_meanwhile_are_given_back() -> None:
    with FakeTerminal(KITTY + CELL + DA1, typed="a cät\r".encode()) as there:
        answers, typed = query_terminal(there.slave.fileno(), there.slave.fileno(), 5.0)
        while typed.count("\r") + typed.count("\n") < 2:
            typed += os.read(there.slave.fileno(), 100).decode()
    assert answers.kitty
    assert typed.replace("\n", "\r") == "a cät\r" * 2


def test_a_terminal_that_answers_nothing_is_not_waited_for() -> None:
    began = time.monotonic()
    with FakeTerminal() as there:
        pictures, _ = detect_terminal_images(
            there.slave, there.slave, environment={"TERM": "xterm-kitty"}
        )
        time.sleep(0.05)
    assert time.monotonic() - began < 2
    assert pictures is not None
    assert pictures.terminal.protocol == "kitty"
    assert there.asked.endswith(b"\r\x1b[K"), "what it may have printed is wiped"


def test_half_an_answer_is_not_taken_for_keys() -> None:
    for cut in range(2, len(KITTY)):
        assert parse_answers(b"a" + KITTY[:cut]) == (Answers(), "a")
    assert parse_answers(b"\x1b[A") == (Answers(), "\x1b[A")


@pytest.mark.parametrize("preview, protocol", [("off", "auto"), ("auto", "symbols")])
def test_who_needs_no_answer_does_not_ask(preview: str, protocol: str) -> None:
    with FakeTerminal(KITTY + DA1) as there:
        pictures, _ = detect_terminal_images(
            there.slave,
            there.slave,
            preview=preview,
            protocol=protocol,
            environment={"TERM": "xterm"},
        )
        time.sleep(0.05)
        assert there.asked == b""
    assert pictures is not None
    assert pictures.terminal.protocol == "symbols"
    assert pictures.shows_final == pictures.shows_live == (preview == "auto")


def test_what_is_no_terminal_or_a_dumb_one_gets_no_pictures() -> None:
    with open(os.devnull, "w") as nothing:  # noqa: PTH123
        assert detect_terminal_images(nothing, nothing) == (None, "")
    with FakeTerminal(KITTY + DA1) as there:
        assert detect_terminal_images(there.slave, there.slave, environment={"TERM": "dumb"}) == (
            None,
            "",
        )
        assert there.asked == b""


def test_a_protocol_can_be_chosen() -> None:
    with FakeTerminal(DA1) as there:
        for inside, wrapped in (({"TMUX": "/tmp/none,1,0"}, True), ({}, False)):
            pictures, _ = detect_terminal_images(
                there.slave, there.slave, protocol="kitty", environment={"TERM": "xterm", **inside}
            )
            assert pictures is not None
            assert (pictures.terminal.protocol, pictures.terminal.through_tmux) == (
                "kitty",
                wrapped,
            )


def seen(tmux: Tmux | None = None, da1: bytes = b"", **environment: str) -> Terminal:
    return describe_terminal(environment, parse_answers(da1)[0], tmux)


def test_the_environment_tells_when_nobody_answers() -> None:
    assert seen(TERM="xterm-ghostty").protocol == "kitty"
    assert seen(TERM="xterm-256color", TERM_PROGRAM="iTerm.app").protocol == "iterm2"
    assert seen(TERM="xterm-256color", LC_TERMINAL="iTerm2").protocol == "iterm2"
    assert seen(TERM="foot").protocol == "sixel"
    assert seen(TERM="vt100").protocol == "symbols"
    assert seen(TERM="screen", STY="1", KITTY_WINDOW_ID="1").protocol == "symbols"


def test_colours() -> None:
    assert seen(TERM="xterm-256color").colours == "256"
    assert seen(TERM="xterm-256color", COLORTERM="truecolor").colours == "all"
    assert seen(TERM="linux").colours == "16"
    plain = seen(TERM="xterm-kitty", NO_COLOR="1")
    assert (plain.protocol, plain.colours) == ("symbols", "none")


def test_in_tmux_it_is_tmux_that_counts() -> None:
    outside = Tmux(passthrough=True, outside="kitty(0.32.1)")
    assert seen(outside, DA1).through_tmux
    assert seen(outside, DA1).protocol == "kitty"
    shut = Tmux(passthrough=False, outside="kitty(0.32.1)")
    assert seen(shut, DA1, KITTY_WINDOW_ID="1") == seen(Tmux(), DA1) == Terminal(colours="16")
    assert seen(Tmux(outside="xterm"), SIXEL).protocol == "sixel"


@pytest.mark.parametrize(
    "forged",
    [
        b"\x1b[?" + b"4" * 5000 + b"c",
        b"\x1b[?" + b"4;" * 5000 + b"c",
        b"\x1b[?;;;;c",
        b"\x1b[6;9999;9999t" + DA1,
        b"\x1b[6;1;1t" + DA1,
        b"\x1b[6;0;10t" + DA1,
        b"\x1b[6;" + b"9" * 5000 + b";20t" + DA1,
        b"\x1b_G" + b"i=31;" * 1600,
        b"\x1bP>|" + b"x" * 8000 + b"\x1b\\" + DA1,
        bytes(range(256)) * 30,
    ],
)
def test_forged_answers_are_understood_within_bounds(forged: bytes) -> None:
    began = time.thread_time()
    answers, _ = parse_answers(forged)
    assert time.thread_time() - began < 0.5
    assert answers.cell is None and not answers.kitty
    assert len(answers.attributes) <= 64 and all(one < 10_000 for one in answers.attributes)
    assert describe_terminal({}, answers, None).cell == Terminal.cell


def test_a_terminal_that_never_stops_talking_is_not_heard_to_the_end() -> None:
    with FakeTerminal(answers=b"7" * 3 * MOST_HEARD) as there:
        _, typed = query_terminal(there.slave.fileno(), there.slave.fileno(), timeout=20)
    assert len(typed) <= MOST_HEARD


def test_no_answer_takes_long_however_long_it_is() -> None:
    start = time.thread_time()
    answers, typed = parse_answers(b"\x1b_G" + b"i=31;" * 50_000 + b"typed")
    assert time.thread_time() - start < 0.5
    assert not answers.kitty and typed == "", "all of it belongs to the answer that has no end"


@pytest.mark.parametrize("head", [b"\x1bP>|", b"\x1b_G"])
@pytest.mark.parametrize("many", [1, 2000])
def test_an_answer_with_other_sequences_is_dropped_to_its_end(head: bytes, many: int) -> None:
    """Also where it is longer than what is heard: the rest would be taken for keys."""
    answer = head + b"\x1b]0;x\a" * many + b"\x1b\\"
    assert parse_answers(b"a" + answer + DA1 + b"b")[1] == "ab"
    with FakeTerminal(KITTY + answer + CELL + DA1, typed=b"x\r") as there:
        answers, typed = query_terminal(there.slave.fileno(), there.slave.fileno(), 5.0)
    assert answers.cell == (10, 20) and answers.kitty and answers.version == ""
    assert typed.strip("x\r\n") == "" and typed.startswith("x")


def test_an_answer_without_an_end_is_not_waited_for_long() -> None:
    began = time.monotonic()
    with FakeTerminal(b"\x1bP>|" + b"x" * 3000) as there:
        answers, typed = query_terminal(there.slave.fileno(), there.slave.fileno(), 0.5)
    assert (answers, typed) == (Answers(), "")
    assert time.monotonic() - began < 10
