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

    @property
    def is_space(self) -> bool:
        return not self.operand and self.text.isspace()


@dataclass(frozen=True)
class RawSwap:
    """A `.swap()`, not yet flattened."""

    before: tuple[Raw | RawSwap, ...]
    after: tuple[Raw | RawSwap, ...]
    options: SwapOptions
    operand: bool = False
    is_space: bool = False


def make_pieces(nodes: Iterable[Raw | RawSwap]) -> tuple[Piece, ...]:
    """The pieces of a text: neighbours of one weight are one fragment. Never empty."""
    pieces: list[Piece] = []
    run: list[tuple[str, float]] = []
    for item, weight in _flatten(nodes, 1.0):
        if isinstance(item, str):
            run.append((item, weight))
            continue
        pieces += _merge(run)
        run = []
        before, after = (_merge(_texts(side, weight)) for side in (item.before, item.after))
        pieces.append(Swap(tuple(before), tuple(after), item.options))
    pieces += _merge(run)
    pieces = _strip(pieces)
    return tuple(pieces) or (Fragment(""),)


def _flatten(
    nodes: Iterable[Raw | RawSwap], weight: float
) -> Iterator[tuple[str | RawSwap, float]]:
    """The texts and swaps in order, and an empty text where a group begins or ends; however deep
    they are."""
    stack: list[tuple[Iterator[Raw | RawSwap], float]] = [(iter(nodes), weight)]
    while stack:
        nodes_left, weight = stack[-1]
        node = next(nodes_left, None)
        if node is None:
            stack.pop()
            yield "", weight
        elif isinstance(node, RawSwap):
            yield node, weight
        elif node.inside:
            yield "", weight
            stack.append((iter(node.inside), weight * node.weight))
        elif node.operand:
            yield "", weight
            yield node.text, weight * node.weight
            yield "", weight
        else:
            yield node.text, weight * node.weight


def _texts(nodes: Iterable[Raw | RawSwap], weight: float) -> list[tuple[str, float]]:
    return [(item, w) for item, w in _flatten(nodes, weight) if isinstance(item, str)]


def _merge(run: list[tuple[str, float]]) -> list[Fragment]:
    """Fragments of texts with weights. An empty text is the edge of a bracket: two words that
    would become one there get a space between them, as in compel. White space belongs to the
    fragment before it."""
    texts: list[list[str]] = []
    weights: list[float] = []
    edge, last = False, ""
    for text, weight in run:
        if not text:
            edge = True
            continue
        if edge and last.isascii() and last.isalnum() and text[0].isascii() and text[0].isalnum():
            texts[-1].append(" ")
        edge, last = False, text[-1]
        if texts and (weight == weights[-1] or text.isspace()):
            texts[-1].append(text)
        elif texts and all(part.isspace() for part in texts[-1]) and len(texts) == 1:
            texts[-1].append(text)
            weights[-1] = weight
        else:
            texts.append([text])
            weights.append(weight)
    return [Fragment("".join(parts), weight) for parts, weight in zip(texts, weights, strict=True)]


def _strip(pieces: list[Piece]) -> list[Piece]:
    """Without white space at both ends of the whole."""
    if pieces and isinstance(first := pieces[0], Fragment):
        pieces[0] = Fragment(first.text.lstrip(), first.weight)
    if pieces and isinstance(last := pieces[-1], Fragment):
        pieces[-1] = Fragment(last.text.rstrip(), last.weight)
    return [piece for piece in pieces if not (isinstance(piece, Fragment) and not piece.text)]
