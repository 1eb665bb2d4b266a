"""The pages about the switches hold them all."""

from __future__ import annotations

import re

from dream.core.cli_options import CLI_FLAGS
from dream.core.request import FLAGS
from dream.line import parse_line
from dream.line.help_pages import format_flag_table, format_help
from dream.line.legacy_switches import LEGACY_FLAGS

_ALL = [*FLAGS.values(), *CLI_FLAGS.values()]


def test_the_help_page_is_complete_and_fits() -> None:
    page = format_help()
    for flag in _ALL:
        assert f"  {', '.join(flag.names)} {flag.kind.metavar}".rstrip() in page
        assert " ".join(flag.help.split()) in " ".join(page.split())
        assert all(name in page for name in flag.kind.choices)
        assert f"{flag.section.capitalize()}:\n" in page
    assert max(map(len, page.splitlines())) <= 80
    assert not re.search(r" $", page, re.MULTILINE)


def test_the_examples_of_the_help_page_can_be_read() -> None:
    examples = re.findall(r"^  dream> (.*)$", format_help(), re.MULTILINE)
    assert len(examples) >= 3
    for line in examples:
        assert parse_line(line).prompt


def test_the_readmes_table_has_a_row_for_every_flag() -> None:
    rows = format_flag_table().splitlines()
    assert all(row.startswith("| ") and row.endswith(" |") for row in rows if row != rows[1])
    assert {row.count("|") for row in rows} == {4}
    for flag in _ALL:
        names = " ".join(f"`{name}`" for name in flag.names)
        assert len([row for row in rows if row.startswith(f"| {names} |")]) == 1


def test_a_switch_is_here_or_formerly_not_both() -> None:
    here = {name for flag in _ALL for name in flag.names}
    assert not here & {name for flag in LEGACY_FLAGS.values() for name in flag.names}
    assert not FLAGS.keys() & LEGACY_FLAGS.keys()
