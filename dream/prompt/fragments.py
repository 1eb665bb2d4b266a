"""Flattens nested groups into fragments, each with the product of the weights around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dream.prompt.tree import Fragment, Piece, Swap, SwapOptions


class Raw(NamedTuple):
    """A word, a sign, or a group of nodes; with a weight. A prompt can have thousands, and a tuple
    is made fastest."""

    text: str
    weight: float = 1.0
    inside: tuple[Raw | RawSwap, ...] = ()
    operand: bool = False
    """Whether it was in brackets or quotes, which can hold a text alone."""


@dataclass(frozen=True)
class RawSwap:
    """A `.swap()`, not yet flattened."""

    before: tuple[Raw | RawSwap, ...]
    after: tuple[Raw | RawSwap, ...]
    options: SwapOptions
    operand: bool = False


def make_pieces(nodes: Iterable[Raw | RawSwap]) -> tuple[Piece, ...]:
    """The pieces of a text: neighbours of one weight are one fragment. Never empty."""
    pieces = _strip(list(_flatten(nodes, 1.0)))
    return tuple(pieces) or (Fragment(""),)


def _flatten(nodes: Iterable[Raw | RawSwap], weight: float) -> Iterator[Piece]:
    """The pieces of nodes, however deep they are. Two words that would become one where a bracket
    begins or ends get a space between them, as in compel. White space belongs to the fragment
    before it, and at the beginning to the one after it."""
    stack: list[tuple[Iterator[Raw | RawSwap], float]] = [(iter(nodes), weight)]
    texts: list[str] = []
    current, edge, blank = weight, False, True
    while stack:
        nodes_left, outer = stack[-1]
        for node in nodes_left:
            if isinstance(node, RawSwap):
                if texts:
                    yield Fragment("".join(texts), current)
                yield _make_swap(node, outer)
                texts, edge, blank = [], False, True
                continue
            text, weight, inside, operand = node
            if inside:
                edge = True
                stack.append((iter(inside), outer * weight))
                break
            edge = edge or operand
            if not text:
                continue
            weight *= outer
            if edge and texts and _are_words(texts[-1][-1], text[0]):
                texts.append(" ")
            if blank:
                blank = text.isspace()
                if not (blank and texts):
                    current = weight
                texts.append(text)
            elif weight == current or text.isspace():
                texts.append(text)
            else:
                yield Fragment("".join(texts), current)
                texts, current = [text], weight
            edge = operand
        else:
            stack.pop()
            edge = True
    if texts:
        yield Fragment("".join(texts), current)


def _make_swap(swap: RawSwap, weight: float) -> Swap:
    """A swap has no others inside."""
    before, after = (
        tuple(piece for piece in _flatten(side, weight) if isinstance(piece, Fragment))
        for side in (swap.before, swap.after)
    )
    return Swap(before, after, swap.options)


def _are_words(left: str, right: str) -> bool:
    return left.isascii() and left.isalnum() and right.isascii() and right.isalnum()


def _strip(pieces: list[Piece]) -> list[Piece]:
    """Without white space at both ends of the whole."""
    if pieces and isinstance(first := pieces[0], Fragment):
        pieces[0] = Fragment(first.text.lstrip(), first.weight)
    if pieces and isinstance(last := pieces[-1], Fragment):
        pieces[-1] = Fragment(last.text.rstrip(), last.weight)
    return [piece for piece in pieces if not (isinstance(piece, Fragment) and not piece.text)]
