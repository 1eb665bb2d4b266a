"""Write the generated tables into the README and docs/: python -m scripts.reference

docs/reference.md has every switch, command and setting; the READMEs and docs/models.md have the
families of models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dream.commands import COMMANDS as ROWS
from dream.commands.help import format_command_table
from dream.line.help_pages import format_flag_table
from dream.options.family import Family
from dream.options.family_switches import FAMILY_SWITCHES, FamilySwitch
from dream.options.family_table import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
FLAGS, COMMANDS, MODELS, SWITCHES = "flags", "commands", "families", "family switches"
"""The names of the markers."""

HEADS = {
    "README.md": ("model", "folder", "single file"),
    "README.zh.md": ("模型", "文件夹", "单个文件"),
    "docs/models.md": ("model", "folder in diffusers layout", "single .safetensors or .ckpt file"),
}
"""Head of the table of families, by the page it is in."""


def format_family_table(head: tuple[str, str, str]) -> str:
    """The families of models as a Markdown table."""
    rows = ((family.name, "✓", _mark_single_file(family)) for family in FAMILIES)
    lines = (head, ("---", "---", "---"), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _mark_single_file(family: Family) -> str:
    return "✓" if family.stable or family.pipeline else "–"


def _mark(row: FamilySwitch, family: Family) -> str:
    if row.supports(family):
        return "✓"
    return "ignored" if row.ignored else "–"


def format_switch_table() -> str:
    """Which family supports which switches, as a Markdown table."""
    switches = [", ".join(f"`{name}`" for name in row.switches) for row in FAMILY_SWITCHES]
    head = ("", *switches, "negative words")
    rows = (
        (
            family.title,
            *(_mark(row, family) for row in FAMILY_SWITCHES),
            "✓" if family.negative else "ignored",
        )
        for family in FAMILIES
    )
    lines = (head, ("---",) * len(head), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def get_between(text: str, name: str) -> str:
    """What is between `<!-- name -->` and `<!-- /name -->`. Raises ValueError without them."""
    return _find_markers(text, name)[0]


def replace_between(text: str, name: str, new: str) -> str:
    """The text with something else between the markers."""
    start, end = _find_markers(text, name).span()
    return f"{text[:start]}\n{new}{text[end:]}"


def _find_markers(text: str, name: str) -> re.Match[str]:
    match = re.search(f"(?s)(?<=<!-- {name} -->).*?(?=<!-- /{name} -->)", text)
    if match is None:
        raise ValueError(f"there are no markers <!-- {name} --> … <!-- /{name} -->")
    return match


def generate_tables() -> Iterator[tuple[Path, str, str]]:
    """Each generated table: its page, its marker, its text."""
    yield ROOT / "docs" / "reference.md", FLAGS, format_flag_table()
    yield ROOT / "docs" / "reference.md", COMMANDS, format_command_table(ROWS)
    for page, head in HEADS.items():
        yield ROOT / page, MODELS, format_family_table(head)
    yield ROOT / "docs" / "models.md", SWITCHES, format_switch_table()


if __name__ == "__main__":
    for page, name, table in generate_tables():
        text = page.read_text(encoding="utf-8")
        page.write_text(replace_between(text, name, table), encoding="utf-8")
