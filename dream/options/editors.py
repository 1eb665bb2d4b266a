"""Which models take reference images, and how many."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from dream.options.family import Editor
from dream.options.family_table import FAMILIES, get_family

NO_EDITOR = "no"
"""As `edits` in models.toml: a model that was not trained to edit."""
EDITORS = {editor.key: editor for family in FAMILIES for editor in family.editors}


def find_editor(family: str, key: str) -> Editor | None:
    """What a model of a family edits as; None if it was not trained to."""
    return next((editor for editor in get_family(family).editors if editor.key == key), None)


def count_references(family: str, key: str) -> int:
    """How many reference images a model takes at most."""
    editor = find_editor(family, key)
    return editor.references if editor else get_family(family).references


def list_editors() -> tuple[str, ...]:
    """The models that take reference images, as people know them."""
    rows = (
        (*(editor.name for editor in family.editors), *([family.name] * bool(family.references)))
        for family in FAMILIES
    )
    return tuple(name for row in rows for name in row)


def detect_editor(
    family: str, marks: Collection[str], titles: Iterable[tuple[str, str]]
) -> tuple[Editor, str] | None:
    """What the model in a single file was trained to edit as, and what says so; None if nothing
    does.

    A tensor among `marks` decides before the texts in `titles`, each with what it is called in a
    message.
    """
    editors = get_family(family).editors
    for editor in editors:
        if editor.mark and editor.mark in marks:
            return editor, "its tensors"
    for text, origin in titles:
        for editor in editors:
            if re.search(editor.pattern, text.lower()):
                return editor, f"{origin} ({text})"
    return None


def find_editor_of_pipeline(family: str, pipeline: str) -> Editor | None:
    """The editor whose class in diffusers a folder names, or that for masks over it."""
    names = {pipeline.removesuffix("Pipeline"), re.sub("(Inpaint)?Pipeline$", "", pipeline)}
    return next((row for row in get_family(family).editors if row.pipeline in names), None)
