"""The evaluation's prompts in free wording, and what must be seen in their images.

`free_wording.txt` was written before any training on arrangements; no caption repeats a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("free_wording.txt")
UNKNOWN = "?"
"""The kind of a noun that the model does not know: an object of any shape."""


@dataclass(frozen=True)
class Thing:
    """One object that must be seen, `count` times; without colours, in any."""

    kind: str
    colours: tuple[str, ...] = ()
    count: int = 1


@dataclass(frozen=True)
class FreePrompt:
    """A prompt; what must be seen; and the colour of the ground or a key of `SETTINGS`, or empty.
    The first object is the main one."""

    text: str
    things: tuple[Thing, ...]
    ground: str = ""


def read_prompts(colours: frozenset[str], path: Path = FILE) -> tuple[FreePrompt, ...]:
    """All prompts of the file, where `colours` are the names that count as colours."""
    lines = path.read_text("utf-8").splitlines()
    return tuple(_parse(line, colours) for line in lines if not line.startswith("#"))


def _parse(line: str, colours: frozenset[str]) -> FreePrompt:
    text, _, expected = line.partition(" | ")
    things, _, ground = expected.partition("@")
    parts = tuple(_parse_thing(part.strip(), colours) for part in things.split(","))
    return FreePrompt(text, parts, ground.strip())


def _parse_thing(text: str, colours: frozenset[str]) -> Thing:
    body, _, count = text.partition(" x")
    first, _, rest = body.partition(" ")
    named = tuple(first.split("+"))
    if rest and set(named) <= colours:
        return Thing(rest, named, int(count or 1))
    return Thing(body, (), int(count or 1))


HELD_OUT_PROMPTS = frozenset(
    line.partition(" | ")[0].lower() for line in FILE.read_text("utf-8").splitlines()
)
"""The prompts in lower case."""
