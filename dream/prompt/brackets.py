"""Finds which brackets and quotes belong together; those without a partner are words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_OPENING, _CLOSING = "(（", ")）"
_SIGN = re.compile(r'\\.|[()（）"]', re.DOTALL)
_BEFORE_QUOTE = re.compile(r"[^\w\"]|\Z")
"""What may stand before an opening quote: anything but a word; so `5" disk` has none."""


def pair_up(text: str) -> Mapping[int, int]:
    """The index of each bracket or quote that has a partner, to its partner's, both ways.

    Round brackets, ASCII and full-width alike, and double quotes; a backslash before one makes it a
    word.
    """
    signs = [match for match in _SIGN.finditer(text) if match[0][0] != "\\"]
    quotes = sum(match[0] == '"' for match in signs)
    pairs: dict[int, int] = {}
    opened: list[int] = []
    quote_at = -1
    for match in signs:
        at, sign = match.start(), match[0]
        quotes -= sign == '"'
        if sign in _OPENING:
            opened.append(at)
        elif sign in _CLOSING:
            if opened and text[opened[-1]] in _OPENING:
                pairs[opened[-1]] = at
                pairs[at] = opened.pop()
        elif quote_at >= 0:
            while opened[-1] != quote_at:
                opened.pop()
            pairs[quote_at] = at
            pairs[at] = opened.pop()
            quote_at = -1
        elif quotes and (at == 0 or _BEFORE_QUOTE.match(text[at - 1])):
            opened.append(at)
            quote_at = at
    return pairs


def split_at_commas(
    text: str, start: int, end: int, pairs: Mapping[int, int]
) -> Iterator[tuple[int, int]]:
    """The parts of text[start:end] between its commas; those inside brackets and quotes do not
    count."""
    at = begin = start
    while at < end:
        if at in pairs and pairs[at] > at:
            at = pairs[at]
        elif text[at] == "\\":
            at += 1
        elif text[at] in ",，":
            yield begin, at
            begin = at + 1
        at += 1
    yield begin, end
