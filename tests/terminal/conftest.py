from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from dream.studio import Studio
from dream.terminal.prompt import converse
from dream.terminal.show import Screen
from tests.fakes import fake_studio

Typed = Callable[..., str]


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return fake_studio(tmp_path)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type these keys at the real prompt, then leave when all is made; what the screen showed,
    greeting left out."""
    monkeypatch.setenv("TERM", "xterm")

    def type_keys(studio: Studio, keys: str, columns: int = 80) -> str:
        out = io.StringIO()
        screen = Screen(out, columns=lambda: columns, rewrite=False, colour=False)
        with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
            pipe.send_text(f"{keys}q\rw")  # w: when all is made, if anything is left
            assert converse(lambda: (studio, screen), studio.outdir) == 0
        return out.getvalue().split("\n", 2)[2]

    return type_keys
