from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
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
    """Answers “quit when done” when the question about unfinished lines appears: a question ignores
    keys pressed before it was shown."""

    def __init__(self, keys: PipeInput) -> None:
        self._keys = keys
        self._seen = ""

    def write(self, data: str) -> None:
        """What prompt_toolkit paints, piece by piece."""
        asked = "(y/w/n)" in self._seen
        self._seen += data
        if not asked and "(y/w/n)" in self._seen:
            asyncio.get_running_loop().call_soon(self._keys.send_text, "w\r")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return fake_session(tmp_path)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type these keys at the real prompt, then quit when done; returns what the screen
    showed after the greeting."""
    monkeypatch.setenv("TERM", "xterm")

    def type_keys(session: Session, keys: str, columns: int = 80) -> str:
        out = io.StringIO()
        screen = Screen(out, columns=lambda: columns, rewrite=False, colour=False)
        with create_pipe_input() as pipe, create_app_session(input=pipe, output=Watched(pipe)):
            pipe.send_text(f"{keys}q\r")
            assert run_session(lambda: (session, screen), session.outdir) == 0
        return out.getvalue().split("\n", 2)[2]

    return type_keys
