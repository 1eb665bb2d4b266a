"""Parses the query of a text mask, such as `cat AND NOT (dog OR “red ball”)`, into a tree.

AND, OR and NOT in capitals are operators; NOT binds strongest, OR weakest, parentheses override.
All other words are part of a term, so `black cat AND sofa` has two terms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r"[()]|[^\s()]+")
_OPERATORS = ("AND", "OR", "NOT", "(", ")")


@dataclass(frozen=True)
class Term:
    """A thing to find, in words."""

    words: str


@dataclass(frozen=True)
class Not:
    """Everything except `of`."""

    of: MaskQuery


@dataclass(frozen=True)
class And:
    """Where both are found."""

    left: MaskQuery
    right: MaskQuery


@dataclass(frozen=True)
class Or:
    """Where at least one of them is found."""

    left: MaskQuery
    right: MaskQuery


MaskQuery = Term | Not | And | Or


def parse_mask_query(words: str) -> MaskQuery:
    """The query as a tree. Raises ValueError if the words are not a query."""
    tokens = _TOKEN.findall(words)
    try:
        query = _or(tokens)
    except RecursionError:
        raise ValueError from None
    if tokens:
        raise ValueError
    return query


def get_terms(query: MaskQuery) -> Iterator[str]:
    """All terms of a query, from left to right."""
    match query:
        case Term(words):
            yield words
        case Not(one):
            yield from get_terms(one)
        case And(left, right) | Or(left, right):
            yield from get_terms(left)
            yield from get_terms(right)


def _or(tokens: list[str]) -> MaskQuery:
    query = _and(tokens)
    while tokens[:1] == ["OR"]:
        del tokens[0]
        query = Or(query, _and(tokens))
    return query


def _and(tokens: list[str]) -> MaskQuery:
    query = _one(tokens)
    while tokens[:1] == ["AND"]:
        del tokens[0]
        query = And(query, _one(tokens))
    return query


def _one(tokens: list[str]) -> MaskQuery:
    if tokens[:1] == ["NOT"]:
        del tokens[0]
        return Not(_one(tokens))
    if tokens[:1] == ["("]:
        del tokens[0]
        query = _or(tokens)
        if tokens[:1] != [")"]:
            raise ValueError
        del tokens[0]
        return query
    words = []
    while tokens and tokens[0] not in _OPERATORS:
        words.append(tokens.pop(0))
    if not words:
        raise ValueError
    return Term(" ".join(words))
