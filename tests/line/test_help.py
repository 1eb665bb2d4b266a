"""The pages about the switches hold them all."""

from __future__ import annotations

import re

from dream.launch import LAUNCH_FLAGS
from dream.line import read
from dream.line.formerly import FORMER_FLAGS
from dream.line.help import flag_table, help_page
from dream.request import FLAGS

_ALL = [*FLAGS.values(), *LAUNCH_FLAGS.values()]


def test_the_help_page_is_complete_and_fits() -> None:
    page = help_page()
    for flag in _ALL:
        assert f"  {', '.join(flag.names)} {flag.kind.metavar}".rstrip() in page
        assert " ".join(flag.help.split()) in " ".join(page.split())
        assert all(name in page for name in flag.kind.choices)
        assert f"{flag.section.capitalize()}:\n" in page
    assert max(map(len, page.splitlines())) <= 80
    assert not re.search(r" $", page, re.MULTILINE)


def test_the_examples_of_the_help_page_can_be_read() -> None:
    examples = re.findall(r"^  dream> (.*)$", help_page(), re.MULTILINE)
    assert len(examples) >= 3
    for line in examples:
        assert read(line).prompt


def test_the_readmes_table_has_a_row_for_every_flag() -> None:
    rows = flag_table().splitlines()
    assert all(row.startswith("| ") and row.endswith(" |") for row in rows if row != rows[1])
    assert {row.count("|") for row in rows} == {4}
    for flag in _ALL:
        names = " ".join(f"`{name}`" for name in flag.names)
        assert len([row for row in rows if row.startswith(f"| {names} |")]) == 1


def test_a_switch_is_here_or_formerly_not_both() -> None:
    here = {name for flag in _ALL for name in flag.names}
    assert not here & {name for flag in FORMER_FLAGS.values() for name in flag.names}
    assert not FLAGS.keys() & FORMER_FLAGS.keys()
