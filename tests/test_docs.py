"""The front page and the reference are what the program is."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

import dream.commands.command as commands
from dream.core import events
from dream.line import find_command_line, parse_argv
from scripts.reference import ROOT, generate_tables, get_between

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "name", "table"), list(generate_tables()), ids=lambda value: str(value)[-20:]
)
def test_generated_tables_are_current(page: Path, name: str, table: str) -> None:
    current = get_between(page.read_text(encoding="utf-8"), name)
    assert current.strip() == table.strip(), "run python -m scripts.reference"


def test_the_readme_is_one_page() -> None:
    assert len(README.splitlines()) <= 150


def list_commands(text: str) -> list[str]:
    """The lines of code blocks, without the comment behind two spaces or more."""
    blocks = re.findall(r"(?ms)^```\w*\n(.*?)^```", text)
    return [re.split(r" {2,}", line)[0] for block in blocks for line in block.splitlines()]


def list_inline_code(text: str) -> list[str]:
    """What is in backticks in tables, in order."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def test_the_chinese_readme_has_the_same_commands_and_tables() -> None:
    assert list_commands(CHINESE) == list_commands(README)
    assert list_inline_code(CHINESE) == list_inline_code(README)
    assert [line.count("|") for line in CHINESE.splitlines() if line.startswith("|")] == [
        line.count("|") for line in README.splitlines() if line.startswith("|")
    ]


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CONTRIBUTING.md"]
    for page in [*pages, *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_agents_get_json_from_each_line_of_their_page() -> None:
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    lines = re.findall(r"^dream (.*)", page, re.M)
    assert len(lines) >= 5
    for line in lines:
        before, _ = find_command_line(shlex.split(line, comments=True))
        assert parse_argv(before)[0].json, line


def test_agents_find_every_event_and_its_keys() -> None:
    """The schema of --json is the classes of events."""
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    section = page.partition("### Events")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    tables = [(re.findall(r"`(\w+)`", name), re.findall(r"`(\w+)`", keys)) for name, keys in rows]
    listed = {names[0]: keys for names, keys in tables}
    classes = [*vars(events).values(), *vars(commands).values()]
    expected = {
        one.name: [field.name for field in dataclasses.fields(one) if field.repr]
        for one in classes
        if isinstance(one, type) and issubclass(one, events.Event) and one.name
    }
    expected["queued"].append("schema")
    expected["refused"].append("column")
    assert listed == expected
    assert f"schema {events.JSON_SCHEMA}" in page
