"""Switches and commands as people type them who come from other programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dream.core.errors import BadLine, BadSetting
from dream.core.request import Request
from dream.line import make_typable, parse_argv, parse_line
from dream.line.foreign_switches import FOREIGN_SWITCHES
from dream.line.slash_commands import translate_slash_command
from dream.line.switch_names import SHELL, match_switch
from dream.line.words import Word

MIGRATING = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FOREIGN_SWITCHES)
def test_a_foreign_switch_is_named_with_ours(name: str) -> None:
    ours = f"{name} is {FOREIGN_SWITCHES[name]} here"
    with pytest.raises(BadLine) as refused:
        parse_line(f"a cat {name} 5", Request())
    assert refused.value.hint == ours and refused.value.column == 7
    with pytest.raises(BadSetting) as refused_option:
        parse_argv(["a cat", f"{name}=5"])
    assert refused_option.value.hint == ours


@pytest.mark.parametrize("name", FOREIGN_SWITCHES)
def test_what_is_named_is_a_switch_here(name: str) -> None:
    found = re.findall(r"-{1,2}\w[\w-]*", FOREIGN_SWITCHES[name])
    fields = {match_switch(Word(ours, 0, 0, False, True), SHELL).known.field for ours in found}
    assert len(fields) == 1


@pytest.mark.parametrize("line", ["a cat --ddim-steps 5", "a cat --ddim-steps=5"])
def test_dashes_are_as_in_our_own_names(line: str) -> None:
    with pytest.raises(BadLine, match=re.escape("is -s (--steps) here")):
        parse_line(line, Request())


@pytest.mark.parametrize("typed", ["--init-img a.png", "--strength 0.5", "--seed 3", "--outdir o"])
def test_names_that_are_the_same_are_read(typed: str) -> None:
    assert parse_line(f"a cat {typed}", Request()) != parse_line("a cat", Request())


def test_the_page_for_those_who_come_lists_them_all() -> None:
    for name, ours in FOREIGN_SWITCHES.items():
        assert f"| `{name}` | `{ours}` |" in MIGRATING


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("/help", "!help"),
        ("/?", "!help"),
        ("/? set", "!help set"),
        ("/set", "!set"),
        ("/set width 512", "!set width 512"),
        ("/set parameter seed  42", "!set seed 42"),
        ("/set widht 512", "!set widht 512"),
        ("/show", "!info -1"),
        ("/show info", "!info -1"),
        ("/show a.png", "!info a.png"),
    ],
)
def test_slash_commands(typed: str, expected: str) -> None:
    assert translate_slash_command(typed) == expected
    assert make_typable(typed) == f'"{typed}"'


@pytest.mark.parametrize(
    "prompt",
    [
        "/set of old chairs in a garden",
        "/show me a cat -s5",
        "/helpless kitten",
        "/help me find a cat",
        "/path/to/cat.png",
        '"/help"',
        "a /help",
        "/",
        "/ set",
    ],
)
def test_other_lines_with_a_slash_are_prompts(prompt: str) -> None:
    assert translate_slash_command(prompt) == prompt
