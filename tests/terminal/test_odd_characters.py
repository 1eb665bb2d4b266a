"""Characters that only look like those of switches and commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from dream.commands import COMMANDS, Context
from dream.commands.check_line import check_line
from tests.fakes import fake_session


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("a cat －S1", "“－S1” is not a switch"),
        ("a cat —s5 ", "“—s5” is not a switch"),
        ("a cat –-steps=5 ", ""),
        ("！help", "a command begins with an ASCII !"),
        ("a cat -C5，7.5 ", "ASCII commas"),
        ('"a cat —s5" -s3', ""),
        ("a cat — on a mat，red", ""),
        ("a cat -C 5、7.5 ", "ASCII commas"),
        ("a cat -C 5，7.5 ", "ASCII commas"),
        ("a cat -S1、2 ", "ASCII commas"),
        ("“a cat” -S1", 'ASCII "'),
        ("a cat --negative “blue sky” ", 'ASCII "'),
        ("a cat --negative=‘blue’ ", 'ASCII "'),
        ("the cat’s “hat” -S1", ""),
    ],
)
def test_a_hint_says_what_was_meant(line: str, hint: str, tmp_path: Path) -> None:
    verdict = check_line(Context(fake_session(tmp_path), tuple, COMMANDS), line)
    assert verdict is not None
    assert (hint in verdict.text) if hint else ("ASCII" not in verdict.text)
