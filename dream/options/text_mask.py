"""The value of -tm: a mask as a query in words, and its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dream.options.option_type import OptionType, format_number


class TextMask(NamedTuple):
    """A query in words, and the threshold from which a pixel counts as found."""

    words: str
    """A query that `dream.options.mask_query.parse_mask_query` can read."""
    threshold: float = 0.5
    """0 (everything is found) to 1."""


def _read(words: Sequence[str]) -> TextMask:
    from dream.options.mask_query import (
        parse_mask_query,  # imported late: few lines need it
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
