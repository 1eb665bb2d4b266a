"""A Request becomes a line."""

from __future__ import annotations

from typing import Any

from dream.errors import BadLine
from dream.flags import Flag
from dream.line.names import LINE, find
from dream.line.words import Word, quote, spell, spell_apart
from dream.request import FLAGS, Request


def write(request: Request, base: Request = Request()) -> str:  # noqa: B008 - frozen
    """The line that asks for this: `read(write(request, base), base) == request`.

    Always one line of valid UTF-8, the prompt in quotes; of the switches those that differ from
    the base, and the load-bearing ones (`Flag.always`) whenever they are set.
    """
    line = [quote(request.prompt)]
    for field, flag in FLAGS.items():
        if field != "prompt":
            line += _switch(flag, getattr(request, field), getattr(base, field))
    return " ".join(line)


def _switch(flag: Flag, value: Any, inherited: Any) -> list[str]:
    if value is None or value is False or value == "":
        return [] if value == inherited else [f"--no-{flag.long}"]
    if value == inherited and not flag.always:
        return []
    words = flag.kind.write(value)
    if len(words) != 1:
        return [flag.names[0], *map(spell_apart, words)]
    return [_joined(flag, words[0])]


def _joined(flag: Flag, value: str) -> str:
    """Name and value in one word: `-s20`, `--model=tiny`, `--outdir="my pictures"`."""
    name = flag.names[0]
    if not name.startswith("--") and spell(value) == value and _reads_as(name + value, flag, value):
        return name + value
    return f"--{flag.long}={spell(value)}"


def _reads_as(text: str, flag: Flag, value: str) -> bool:
    """Whether a glued word is read as this flag and value. `-outdir` is not -o with utdir."""
    try:
        found = find(Word(text, 0, len(text), False, True), LINE)
    except BadLine:
        return False
    return found.known.flag is flag and not found.known.undo and found.value == value
