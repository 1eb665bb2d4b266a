"""What a prompt says: texts with weights, and how several of them become one image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum


class PromptError(ValueError):
    """A prompt that means nothing. `column` counts the prompt's characters from 1; 0 is all of
    it."""

    def __init__(self, message: str, column: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.column, self.hint = message, column, hint


@dataclass(frozen=True)
class Fragment:
    """Some words and their weight; 1 is neutral."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class Break:
    """A1111's BREAK: the tokens behind it begin a chunk of their own."""


@dataclass(frozen=True)
class SwapOptions:
    """When the original's attention is used, as shares of the steps. Hertz et al. 2022,
    Prompt-to-Prompt, arXiv:2208.01626."""

    s_start: float = 0.0
    s_end: float = 0.0
    """From s_start to s_end: the self-attention maps."""
    t_start: float = 0.2
    t_end: float = 1.0
    """From t_start to t_end: the cross-attention maps of all words that are the same."""


@dataclass(frozen=True)
class Swap:
    """`cat.swap(dog)`: composed like the first, with what the second says."""

    before: tuple[Fragment, ...]
    after: tuple[Fragment, ...]
    options: SwapOptions = SwapOptions()


Piece = Fragment | Break | Swap


@dataclass(frozen=True)
class Scheduled:
    """`[before:after:when]`: other words from a step on."""

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    when: float
    is_share: bool
    """Whether `when` is a share of the steps, or else a number of steps."""
    source: str = field(compare=False, default="")
    """As it was typed."""


@dataclass(frozen=True)
class Alternating:
    """`[a|b]`: another of them at each step."""

    options: tuple[tuple[Node, ...], ...]
    source: str = field(compare=False, default="")


Node = str | Scheduled | Alternating

_ENOUGH = 40
"""Steps in which to look for the texts of a timeline."""


@dataclass(frozen=True)
class Timeline:
    """A text that changes between the steps."""

    nodes: tuple[Node, ...]
    read: Callable[[str], tuple[Piece, ...]] = field(compare=False, repr=False)
    """Reads the weights in one of its texts."""

    def list_texts(self, steps: int, before: int | None = None) -> list[tuple[int, str]]:
        """The texts in order, each with the last step, from 1, at which it is used.

        `before` is the steps of the first pass for the second of two: there a whole number goes on
        counting, and a share from 1 to 2 is one of the second pass.
        """
        ends = sorted({steps, *_ends(self.nodes, steps, before)})
        return [(end, _text_at(self.nodes, end, steps, before)) for end in ends]


@dataclass(frozen=True)
class PromptPart:
    """One text of a prompt, with its weight among the others."""

    pieces: tuple[Piece, ...]
    """Never empty. Of a text that changes, those of its last step."""
    weight: float = 1.0
    timeline: Timeline | None = None

    @property
    def swaps(self) -> bool:
        """Whether a word is replaced by `.swap()`."""
        return any(isinstance(piece, Swap) for piece in self.pieces)

    @property
    def is_plain(self) -> bool:
        """Whether it is words only: one text without weights."""
        return self.timeline is None and all(
            isinstance(piece, Fragment) and piece.weight == 1 for piece in self.pieces
        )

    def texts(self) -> Iterator[str]:
        """Its words without the syntax; each text that it can become."""
        if self.timeline is not None:
            texts = self.timeline.list_texts(_ENOUGH)
            yield from (_words(self.timeline.read(text)) for _, text in texts)
            return
        yield _words(self.pieces)
        if self.swaps:
            yield _words(take_side(self.pieces, after=True))


class How(Enum):
    """How the parts of a prompt become one image."""

    TEXT = "text"
    """There is only one."""
    BLEND = "blend"
    """The weighted mean of the embeddings."""
    JOIN = "and"
    """InvokeAI's .and(): the embeddings, one behind the other."""
    COMPOSE = "AND"
    """A1111's AND: the sum of their guidance. Liu et al. 2022, arXiv:2206.01714."""


@dataclass(frozen=True)
class Prompt:
    """One side of a prompt, the positive or the negative, read."""

    parts: tuple[PromptPart, ...]
    """Never empty."""
    how: How = How.TEXT
    normalize: bool = True
    """For a blend: whether the weights are divided by their sum."""

    @property
    def is_plain(self) -> bool:
        """Whether it is words only."""
        return self.how is How.TEXT and self.parts[0].is_plain

    @property
    def words(self) -> str:
        """What it says, without the syntax; to the letter if it is words only."""
        if self.is_plain:
            return self.plain_text
        texts = (text.strip() for part in self.parts for text in part.texts())
        return ", ".join(dict.fromkeys(filter(None, texts)))

    @property
    def plain_text(self) -> str:
        """The words of the first part, to the letter."""
        return _words(self.parts[0].pieces)


@dataclass(frozen=True)
class ParsedPrompt:
    """Both sides."""

    positive: Prompt
    negative: Prompt


def take_side(pieces: tuple[Piece, ...], *, after: bool) -> tuple[Piece, ...]:
    """The pieces with one side of each swap in its place."""
    taken: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Swap):
            taken += piece.after if after else piece.before
        else:
            taken.append(piece)
    return tuple(taken)


def multiply(pieces: tuple[Fragment, ...], weight: float) -> tuple[Fragment, ...]:
    """Fragments with their weights multiplied."""
    return tuple(replace(piece, weight=piece.weight * weight) for piece in pieces)


def _words(pieces: tuple[Piece, ...]) -> str:
    return "".join(
        piece.text if isinstance(piece, Fragment) else " "
        for piece in take_side(pieces, after=False)
    )


def _last_step(node: Scheduled, steps: int, before: int | None) -> int:
    """The last step of a node's first text, from 1."""
    offset = 0.0 if before is None else 1.0 if node.is_share else before
    when = (node.when - offset) * (steps if node.is_share else 1)
    return int(max(-1.0, min(float(steps), when)))


def _ends(nodes: tuple[Node, ...], steps: int, before: int | None) -> Iterator[int]:
    for node in nodes:
        if isinstance(node, Scheduled):
            if (end := _last_step(node, steps, before)) >= 1:
                yield end
            yield from _ends(node.before, steps, before)
            yield from _ends(node.after, steps, before)
        elif isinstance(node, Alternating):
            yield from range(1, steps + 1)


def _text_at(nodes: tuple[Node, ...], step: int, steps: int, before: int | None) -> str:
    text = ""
    for node in nodes:
        if isinstance(node, str):
            text += node
        elif isinstance(node, Scheduled):
            first = step <= _last_step(node, steps, before)
            text += _text_at(node.before if first else node.after, step, steps, before)
        else:
            option = node.options[(step - 1) % len(node.options)]
            text += _text_at(option, step, steps, before)
    return text
