"""Parses A1111's texts that change between the steps: `[before:after:when]` and `[a|b]`."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from dream.prompt.tree import Alternating, Node, Piece, Scheduled, Timeline

_SIGN = re.compile(r"\\.|[()\[\]:|]", re.DOTALL)
_WHEN = re.compile(r"\s*([+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+))\s*")
_DEEPEST = 50
"""Schedules inside schedules; deeper ones are text."""


@dataclass
class _Bracket:
    """An open bracket, and where the signs at its own level are."""

    start: int
    square: bool
    colons: list[int] = field(default_factory=list)
    bars: list[int] = field(default_factory=list)
    broken: bool = False
    """Whether a bracket inside it has no partner."""
    end: int = -1


def parse_timeline(text: str, read: Callable[[str], tuple[Piece, ...]]) -> Timeline | None:
    """The timeline of a text; None if it never changes. Accepts any text."""
    if "[" not in text or (":" not in text and "|" not in text):
        return None
    changing = _find_brackets(text)
    if not changing:
        return None
    return Timeline(_Nodes(text, changing).build(0, len(text), 0), read)


def _find_brackets(text: str) -> Mapping[int, _Bracket]:
    """The square brackets that change, by where they start."""
    opened: list[_Bracket] = []
    brackets: dict[int, _Bracket] = {}
    for match in _SIGN.finditer(text):
        sign, at = match[0], match.start()
        if sign in "([":
            opened.append(_Bracket(at, sign == "["))
        elif sign in ")]":
            closed = _close(opened, square=sign == "]")
            if closed is not None and closed.square and _changes(text, closed, at):
                closed.end = at
                brackets[closed.start] = closed
        elif opened and sign == ":":
            opened[-1].colons.append(at)
        elif opened and sign == "|":
            opened[-1].bars.append(at)
    return brackets


def _close(opened: list[_Bracket], *, square: bool) -> _Bracket | None:
    """Take the last open bracket of a kind, with one or two inside it that have no partner."""
    if not any(bracket.square == square for bracket in opened[-3:]):
        return None
    broken = False
    while opened[-1].square != square:
        opened.pop()
        broken = True
    closed = opened.pop()
    closed.broken |= broken
    return closed


def _changes(text: str, bracket: _Bracket, end: int) -> bool:
    if bracket.broken:
        return False
    if bracket.bars:
        return not bracket.colons
    if not 1 <= len(bracket.colons) <= 2:
        return False
    when = _WHEN.fullmatch(text, bracket.colons[-1] + 1, end)
    return when is not None


class _Nodes:
    """Builds the nodes of a text whose changing brackets are known."""

    def __init__(self, text: str, changing: Mapping[int, _Bracket]) -> None:
        self._text, self._changing = text, changing
        self._starts = sorted(changing)

    def build(self, start: int, end: int, depth: int) -> tuple[Node, ...]:
        """The nodes of text[start:end]."""
        nodes: list[Node] = []
        at = start
        while (begin := self._next(at, end)) is not None and depth < _DEEPEST:
            bracket = self._changing[begin]
            if begin > at:
                nodes.append(self._text[at:begin])
            nodes.append(self._node(bracket, depth + 1))
            at = bracket.end + 1
        if at < end:
            nodes.append(self._text[at:end])
        return tuple(nodes)

    def _next(self, at: int, end: int) -> int | None:
        """The next changing bracket in text[at:end]."""
        place = bisect_left(self._starts, at)
        if place < len(self._starts) and self._starts[place] < end:
            return self._starts[place]
        return None

    def _node(self, bracket: _Bracket, depth: int) -> Node:
        source = self._text[bracket.start : bracket.end + 1]
        if bracket.bars:
            cuts = [bracket.start, *bracket.bars, bracket.end]
            spans = pairwise(cuts)
            options = tuple(self.build(begin + 1, end, depth) for begin, end in spans)
            return Alternating(options, source)
        *first, last = bracket.colons
        middle = first[0] if first else bracket.start
        before = self.build(bracket.start + 1, middle, depth) if first else ()
        after = self.build(middle + 1, last, depth)
        when = _WHEN.fullmatch(self._text, last + 1, bracket.end)
        assert when is not None, "see _changes"
        return Scheduled(before, after, float(when[1]), "." in when[1], source)
