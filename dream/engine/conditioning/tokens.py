"""Cuts a prompt's pieces into chunks of tokens, as A1111 does: 75 and two marks for CLIP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from dream.prompt import Break, Fragment, Piece, Swap, take_side

COMMA_BACKTRACK = 20
"""When a chunk is full, at most so many tokens behind its last comma move to the next one."""


class Token(NamedTuple):
    """One token of a prompt."""

    id: int
    """Its number for the text encoder; negative for a vector of an embedding, which has no word."""
    weight: float
    fragment: int
    """The index of the fragment that it comes from."""
    piece: int
    """The index of the piece that it comes from."""
    offset: int
    """Its index among the tokens of its piece."""


@dataclass(frozen=True)
class TokenChunk:
    """What the text encoder is run on once: a start mark, the tokens, an end mark, padding."""

    tokens: tuple[Token, ...]
    length: int
    """With marks and padding; 77 for CLIP."""

    def list_ids(self, tokenizer: Any) -> list[int]:
        """The numbers, with marks and padding."""
        ids = [tokenizer.bos_token_id, *(token.id for token in self.tokens), tokenizer.eos_token_id]
        return ids + [tokenizer.pad_token_id] * (self.length - len(ids))

    def list_weights(self) -> list[float]:
        """The weight of each; marks and padding have 1."""
        weights = [1.0, *(token.weight for token in self.tokens)]
        return weights + [1.0] * (self.length - len(weights))

    def list_lighter(self) -> Iterator[tuple[float, list[int]]]:
        """The fragments whose weight is below 1: the weight, and the indices of their tokens."""
        for fragment in dict.fromkeys(token.fragment for token in self.tokens if token.weight < 1):
            at = [n for n, token in enumerate(self.tokens, 1) if token.fragment == fragment]
            yield self.tokens[at[0] - 1].weight, at


def make_chunks(
    tokenizer: Any, pieces: tuple[Piece, ...], *, after: bool = True
) -> list[TokenChunk]:
    """The chunks of a text; at least one. Of a swap, one side.

    Each fragment is tokenised alone. BREAK ends a chunk. The vectors of one embedding, which are
    neighbours with negative numbers, stay in one chunk.
    """
    length = int(tokenizer.model_max_length)
    room = length - 2
    comma = _tokenize(tokenizer, ",")[:1]
    chunks: list[list[Token]] = []
    current: list[Token] = []
    last_comma = -1
    for group in _groups(tokenizer, pieces, after=after):
        if group is None:
            chunks.append(current)
            current, last_comma = [], -1
            continue
        if len(current) + len(group) > room and current:
            begin = last_comma + 1
            moved = last_comma >= 0 and len(current) - last_comma <= COMMA_BACKTRACK
            rest = current[begin:] if moved and len(current) == room else []
            chunks.append(current[: len(current) - len(rest)])
            current, last_comma = rest, -1
        if [token.id for token in group] == comma:
            last_comma = len(current)
        current += group[:room]
    if current or not chunks:
        chunks.append(current)
    return [TokenChunk(tuple(tokens), length) for tokens in chunks]


def _groups(
    tokenizer: Any, pieces: tuple[Piece, ...], *, after: bool
) -> Iterator[list[Token] | None]:
    """The tokens that stay together, in order; None for a break."""
    number = -1
    for place, piece in enumerate(pieces):
        if isinstance(piece, Break):
            yield None
            continue
        offset = 0
        for fragment in take_side((piece,), after=after):
            assert isinstance(fragment, Fragment), "breaks are not inside of swaps"
            number += 1
            ids = _tokenize(tokenizer, fragment.text)
            tokens = [
                Token(one, fragment.weight, number, place, n) for n, one in enumerate(ids, offset)
            ]
            offset += len(ids)
            yield from _join_vectors(tokens)


def _join_vectors(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    group: list[Token] = []
    for token in tokens:
        if token.id >= 0:
            if group:
                yield group
            group = []
            yield [token]
        else:
            if group and token.id != group[-1].id - 1:
                yield group
                group = []
            group.append(token)
    if group:
        yield group


def _tokenize(tokenizer: Any, text: str) -> list[int]:
    if not text.strip():
        return []
    ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
    return list(map(int, ids))


def map_same_tokens(
    pieces: tuple[Piece, ...], before: list[TokenChunk], after: list[TokenChunk]
) -> list[tuple[int, int]]:
    """For both sides of a text with swaps: the positions, in the embeddings after and before, of
    all tokens outside the swaps, and of marks and padding."""
    swapped = {place for place, piece in enumerate(pieces) if isinstance(piece, Swap)}
    old = {key: at for key, at in _positions(before) if key[0] not in swapped}
    return [(at, old[key]) for key, at in _positions(after) if key in old]


def _positions(chunks: list[TokenChunk]) -> Iterator[tuple[tuple[int | str, ...], int]]:
    for number, chunk in enumerate(chunks):
        start = number * chunk.length
        yield ("start", number), start
        for n, token in enumerate(chunk.tokens, 1):
            yield (token.piece, token.offset), start + n
        padding = range(len(chunk.tokens) + 1, chunk.length)
        yield from ((("end", number, n), start + at) for n, at in enumerate(padding))
