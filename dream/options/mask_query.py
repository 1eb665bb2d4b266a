"""What words seek in a picture: `cat AND NOT (dog OR “red ball”)`, read as a tree.

AND, OR and NOT in capitals join what is sought; NOT binds strongest, OR weakest, parentheses
before all. Every other word is part of a name, so that `black cat AND sofa` seeks two things.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r"[()]|[^\s()]+")
_JOINTS = ("AND", "OR", "NOT", "(", ")")


@dataclass(frozen=True)
class Term:
    """What these words name."""

    words: str


@dataclass(frozen=True)
class Not:
    """All but that."""

    of: MaskQuery


@dataclass(frozen=True)
class And:
    """Where both are."""

    left: MaskQuery
    right: MaskQuery


@dataclass(frozen=True)
class Or:
    """Where one of them is, or both."""

    left: MaskQuery
    right: MaskQuery


MaskQuery = Term | Not | And | Or


def parse_mask_query(words: str) -> MaskQuery:
    """What the words seek. Raises ValueError for words that cannot be read so."""
    tokens = _TOKEN.findall(words)
    try:
        found = _or(tokens)
    except RecursionError:
        raise ValueError from None
    if tokens:
        raise ValueError
    return found


def get_terms(of: MaskQuery) -> Iterator[str]:
    """All that is named, from left to right."""
    match of:
        case Term(words):
            yield words
        case Not(one):
            yield from get_terms(one)
        case And(left, right) | Or(left, right):
            yield from get_terms(left)
            yield from get_terms(right)


def _or(tokens: list[str]) -> MaskQuery:
    found = _and(tokens)
    while tokens[:1] == ["OR"]:
        del tokens[0]
        found = Or(found, _and(tokens))
    return found


def _and(tokens: list[str]) -> MaskQuery:
    found = _one(tokens)
    while tokens[:1] == ["AND"]:
        del tokens[0]
        found = And(found, _one(tokens))
    return found


def _one(tokens: list[str]) -> MaskQuery:
    if tokens[:1] == ["NOT"]:
        del tokens[0]
        return Not(_one(tokens))
    if tokens[:1] == ["("]:
        del tokens[0]
        found = _or(tokens)
        if tokens[:1] != [")"]:
            raise ValueError
        del tokens[0]
        return found
    words = []
    while tokens and tokens[0] not in _JOINTS:
        words.append(tokens.pop(0))
    if not words:
        raise ValueError
    return Term(" ".join(words))
