"""A mask told in words, and how sure one wants to be: the value of -tm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dream.flags import Kind, plain


class TextMask(NamedTuple):
    """What is sought in a picture, in words, and how sure one must be of it to take it."""

    words: str
    """Such that `dream.sought.sought` reads them."""
    threshold: float = 0.5
    """0 (everything is it) to 1."""


def _read(words: Sequence[str]) -> TextMask:
    from dream.sought import sought  # few lines seek, and every start would wait for it

    value = TextMask(words[0], *map(float, words[1:]))
    sought(value.words)
    if not 0 <= value.threshold <= 1:
        raise ValueError
    return value


TEXT_MASK: Kind[TextMask] = Kind(
    "WORDS [THRESHOLD]",
    'words such as "cat AND NOT dog" and, if you like, a threshold from 0 to 1',
    _read,
    lambda value: [value.words, plain(value.threshold)],
    takes=(1, 2),
    joins=True,
)
