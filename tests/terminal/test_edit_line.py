"""The edit line over a pipe, without a terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prompt_toolkit.application import create_app_session
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from dream.terminal.edit_line import EditLine
from dream.terminal.history_file import LineHistory
from dream.terminal.key_bindings import PendingInput


def test_rows_are_computed_once_for_each_redraw(tmp_path: Path) -> None:
    """A key waits for what is computed more often."""
    redraws: list[int] = []

    def below() -> StyleAndTextTuples:
        redraws.append(edit.app.render_counter)
        return [("", "progress")]

    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        edit = EditLine(LineHistory(tmp_path / "history", print), PendingInput())
        edit.below = below
        keys.send_text("a cat\r")
        assert asyncio.run(edit.read_line()) == "a cat"
    assert redraws and len(set(redraws)) == len(redraws)
