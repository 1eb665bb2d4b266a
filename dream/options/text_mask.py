"""A mask told in words, and how sure one wants to be: the value of -tm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dream.options.option_type import OptionType, format_number


class TextMask(NamedTuple):
    """What is sought in a picture, in words, and how sure one must be of it to take it."""

    words: str
    """Such that `dream.options.mask_query.sought` reads them."""
    threshold: float = 0.5
    """0 (everything is it) to 1."""


def _read(words: Sequence[str]) -> TextMask:
    from dream.options.mask_query import (
        parse_mask_query,  # few lines seek, and every start would wait for it
    )

    value = TextMask(words[0], *map(float, words[1:]))
    parse_mask_query(value.words)
    if not 0 <= value.threshold <= 1:
        raise ValueError
    return value


TEXT_MASK: OptionType[TextMask] = OptionType(
    "WORDS [THRESHOLD]",
    'words such as "cat AND NOT dog" and optionally a threshold from 0 to 1',
    _read,
    lambda value: [value.words, format_number(value.threshold)],
    nargs=(1, 2),
    joins=True,
)
