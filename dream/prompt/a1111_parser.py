r"""Parses the prompt language of AUTOMATIC1111's web UI (as in Forge, 2025), in one pass.

What are known faults there is not repeated here:

- BREAK inside weighted brackets is a break (there it becomes the word BREAK with a weight);
- a colon and a number at the end are a weight only beside an AND (there `photo 16:9` weighs 9);
- `(word:1.5.2)` is text in brackets (there it is an exception);
- `\#` is not a comment, and an escaped `\<lora:…>` is text.
"""

from __future__ import annotations

import re

from dream.prompt.timeline import parse_timeline
from dream.prompt.tree import Break, Fragment, How, Piece, Prompt, PromptPart

_COMMENT = re.compile(r"(?<!\\)#[^\n]*")
_AND = re.compile(r"\bAND\b")
_AND_WEIGHT = re.compile(r"\s*([-+]?(?:\d+\.?|\d*\.\d+))\s*")
_BREAK = re.compile(r"\bBREAK\b")
_TOKEN = re.compile(
    r"\\.?|[()\[\]]|:\s*(?P<weight>[+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*\)|[^\\()\[\]:]+|:", re.DOTALL
)
ROUND, SQUARE = 1.1, 1 / 1.1


def parse_a1111(text: str, *, negative: bool = False) -> Prompt:
    """The prompt of a text without networks. Accepts any text. AND does not count in a
    negative."""
    text = _COMMENT.sub("", text) if "#" in text else text
    texts = [text] if negative else _AND.split(text)
    if len(texts) == 1:
        return Prompt((_part(text, 1.0),))
    return Prompt(tuple(_part(*_split_weight(one)) for one in texts), How.COMPOSE)


def _split_weight(text: str) -> tuple[str, float]:
    """A text between two ANDs, and the weight behind its last colon."""
    before, colon, after = text.rpartition(":")
    if colon and (weight := _AND_WEIGHT.fullmatch(after)):
        return before, float(weight[1])
    return text, 1.0


def _part(text: str, weight: float) -> PromptPart:
    timeline = parse_timeline(text, parse_attention)
    if timeline is None:
        return PromptPart(parse_attention(text), weight)
    return PromptPart(parse_attention(timeline.list_texts(1000)[-1][1]), weight, timeline)


def parse_attention(text: str) -> tuple[Piece, ...]:
    """The fragments and breaks of a text without schedules. Unclosed brackets hold to the end."""
    pieces: list[tuple[str | Break, int, int]] = []
    parents, factors = [0], [1.0]
    opened, squares = [0], 0
    for match in _TOKEN.finditer(text):
        token, weight = match[0], match["weight"]
        if token == "(":
            opened.append(len(parents))
            parents.append(opened[-2])
            factors.append(ROUND)
        elif len(opened) > 1 and (token == ")" or weight is not None):
            closed = opened.pop()
            factors[closed] = float(weight) if weight is not None else ROUND
        elif token == "[":
            squares += 1
        elif token == "]" and squares:
            squares -= 1
        elif token[0] == "\\":
            pieces.append((token[1:], opened[-1], squares))
        else:
            for number, part in enumerate(_BREAK.split(token)):
                if number:
                    pieces.append((Break(), 0, 0))
                pieces.append((part, opened[-1], squares))
    for frame in range(1, len(parents)):
        factors[frame] *= factors[parents[frame]]
    return _merge([(text, factors[frame] * SQUARE**squares) for text, frame, squares in pieces])


def _merge(texts: list[tuple[str | Break, float]]) -> tuple[Piece, ...]:
    """Neighbours of one weight as one fragment, and no white space around breaks."""
    merged: list[Piece] = []
    parts: list[str] = []
    weight = 1.0

    def close() -> None:
        if text := "".join(parts):
            merged.append(Fragment(text, weight))
        parts.clear()

    for text, its in texts:
        if isinstance(text, Break):
            close()
            _strip_last(merged)
            merged.append(text)
        else:
            if merged and isinstance(merged[-1], Break) and not parts:
                text = text.lstrip()
            if not text:
                continue
            if its != weight:
                close()
            weight = its
            parts.append(text)
    close()
    return tuple(merged) or (Fragment(""),)


def _strip_last(merged: list[Piece]) -> None:
    while merged and isinstance(last := merged[-1], Fragment):
        merged.pop()
        if text := last.text.rstrip():
            merged.append(Fragment(text, last.weight))
            return
