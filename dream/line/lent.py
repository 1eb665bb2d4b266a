"""Lines from pictures and logs that others wrote, made fit to be typed."""

from __future__ import annotations

from dream.line.logged import behind_prefix
from dream.line.words import FIX, quote, words
from dream.plain_text import without_controls

_ASKS_FOR_HELP = ("-h", "--help")


def typable(text: str) -> str:
    """A line from a file as it may be put into an edit line: it stays one line, and what would be
    a command, or the word that ends a session, becomes a prompt. A line of ours is unchanged."""
    line = without_controls(text).strip().removeprefix("\ufeff").strip()
    bare = line[behind_prefix(line) :].strip()
    if bare.startswith("!") and not FIX.match(bare):
        return quote(bare)
    if bare in _ASKS_FOR_HELP or _is_a_word(bare):
        return quote(bare)
    return line


def _is_a_word(line: str) -> bool:
    """One word without quotes, such as `q`: with quotes it means the same wherever it is a prompt,
    and nothing else anywhere."""
    found = list(words(line))
    return len(found) == 1 and not found[0].quoted and not found[0].switch
