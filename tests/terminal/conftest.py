from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from dream.session import Session
from dream.terminal.prompt import run_session
from dream.terminal.screen import Screen
from tests.fakes import fake_session

Typed = Callable[..., str]


class Watched(DummyOutput):
    """Answers questions when they appear, each time with the next letter: a question ignores keys
    pressed before it was shown. Without other answers, the one about unfinished lines is answered
    “quit when done”."""

    def __init__(self, keys: PipeInput, answers: Mapping[str, str]) -> None:
        self._keys = keys
        self._answers = {question: iter(a) for question, a in {"(y/w/n)": "w", **answers}.items()}
        self._seen = ""
        self._answered = ""

    def write(self, data: str) -> None:
        """What prompt_toolkit paints, piece by piece."""
        self._seen += data
        if "dream> " in self._seen:  # a question is drawn again until the edit line is
            self._seen, self._answered = self._seen.rpartition("dream> ")[2], ""
        for question, answers in self._answers.items():
            if question in self._seen and question != self._answered:
                self._seen, self._answered = "", question
                if answer := next(answers, ""):
                    asyncio.get_running_loop().call_soon(self._keys.send_text, f"{answer}\r")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return fake_session(tmp_path)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type these keys at the real prompt, then quit when done; returns what the screen
    showed after the greeting."""
    monkeypatch.setenv("TERM", "xterm")

    def type_keys(
        session: Session, keys: str, columns: int = 80, answers: Mapping[str, str] | None = None
    ) -> str:
        out = io.StringIO()
        screen = Screen(out, columns=lambda: columns, rewrite=False, colour=False)
        with (
            create_pipe_input() as pipe,
            create_app_session(input=pipe, output=Watched(pipe, answers or {})),
        ):
            pipe.send_text(f"{keys}q\r")
            assert run_session(lambda: (session, screen), session.outdir) == 0
        return out.getvalue().split("\n", 2)[2]

    return type_keys
