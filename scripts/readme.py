"""Writes the tables of switches and commands into the README: python -m scripts.readme"""

from __future__ import annotations

import re
from pathlib import Path

from dream.commands import COMMANDS as ROWS
from dream.commands.explain import command_table
from dream.line.help import flag_table

README = Path(__file__).resolve().parents[1] / "README.md"
FLAGS, COMMANDS = "flags", "commands"
"""The names of the markers."""


def between(text: str, name: str) -> str:
    """What stands between `<!-- name -->` and `<!-- /name -->`. Raises ValueError without them."""
    return _found(text, name)[0]


def replaced(text: str, name: str, new: str) -> str:
    """The text with something else between the markers."""
    start, end = _found(text, name).span()
    return f"{text[:start]}\n{new}{text[end:]}"


def _found(text: str, name: str) -> re.Match[str]:
    found = re.search(f"(?s)(?<=<!-- {name} -->).*?(?=<!-- /{name} -->)", text)
    if found is None:
        raise ValueError(f"there are no markers <!-- {name} --> … <!-- /{name} -->")
    return found


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    for name, table in ((FLAGS, flag_table()), (COMMANDS, command_table(ROWS))):
        text = replaced(text, name, table)
    README.write_text(text, encoding="utf-8")
