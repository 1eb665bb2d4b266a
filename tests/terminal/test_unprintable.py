"""The edit line shows characters that would change its reading direction, and keeps its text."""

from __future__ import annotations

import asyncio
import io
import sys
import unicodedata
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from dream.terminal.edit_line import EditLine
from dream.terminal.history_file import LineHistory
from dream.terminal.key_bindings import PendingInput

FORMATS = [
    c
    for c in map(chr, range(0xA1, sys.maxunicode))
    if unicodedata.category(c) == "Cf" and c not in "\u200c\u200d"
]


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200f", "\U000e0041", FORMATS[0]])
def test_no_such_character_reaches_the_terminal(character: str, tmp_path: Path) -> None:
    line = f"a {character}cat -S1"
    screen = io.StringIO()
    output = Vt100_Output(screen, lambda: Size(rows=24, columns=80), term="xterm")
    with create_pipe_input() as keys, create_app_session(input=keys, output=output):
        pending = PendingInput()
        pending.text = line
        edit = EditLine(LineHistory(tmp_path / "history", pending.notes.append), pending)
        keys.send_text("\r")
        assert asyncio.run(edit.read_line()) == line
    shown = screen.getvalue()
    assert character not in shown and "a �cat" in shown
