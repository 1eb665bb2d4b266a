"""Describes in words how a prompt was parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dream.options.syntax_table import A1111, INVOKEAI
from dream.prompt.networks import Network, find_unknown_tags
from dream.prompt.tree import Break, Fragment, How, Piece, Prompt, PromptPart, Swap

_TITLES = {
    How.BLEND: "blend, weight {weight}",
    How.JOIN: "and, weight {weight}",
    How.COMPOSE: "AND, weight {weight}",
}
_OF_A1111 = re.compile(
    r"""\bBREAK\b | \bAND\b(?!\s*\Z)
      | (?<!\\)\(\([^()]{1,200}(?<!\\)\)\)(?![\d.+-])
      | (?<!\\)\[[^\[\]:|]{0,200}:(?:[^\[\]:|]{0,200}:)?\s*\d{0,3}\.?\d{1,3}\s*\]
      | (?<!\\)\[[^\[\]|]{1,200}\|[^\[\]]{0,200}\]""",
    re.VERBOSE,
)
"""BREAK, AND, ((words)), [from:to:0.5] and [a|b]: in InvokeAI's language words, brackets without
a weight, or negative."""
_LONGEST_SIGN = 30
_STEPS = 20
"""Steps for which a text that changes is shown."""


def format_weight(weight: float) -> str:
    """At most three decimals: 1.21."""
    return f"{weight:.3f}".rstrip("0").rstrip(".")


def describe_prompt(prompt: Prompt) -> Iterator[str]:
    """One line for each fragment: its weight, and its words; with a title for each part."""
    for part in prompt.parts:
        if prompt.how is not How.TEXT:
            yield _TITLES[prompt.how].format(weight=format_weight(part.weight))
        if part.timeline is None:
            yield from _describe_pieces(part.pieces)
            continue
        for end, text in part.timeline.list_texts(_STEPS):
            yield f"up to step {end} of {_STEPS}"
            yield from _describe_pieces(part.timeline.read(text))


def describe_network(network: Network) -> str:
    """What a prompt's `<lora:…>` asks for: `lora: ink 0.8`."""
    named = (f"{name}={format_weight(value)}" for name, value in network.named.items())
    words = [*map(format_weight, network.weights), *named]
    weights = " ".join(words) if words != ["1"] else ""
    return f"{network.kind}: {network.name} {weights}".rstrip()


def list_weights(prompt: Prompt) -> str:
    """The fragments whose weight is not 1, as `C·1.21, red·0.5`; empty if there are none."""
    weighed = [
        f"{piece.text.strip()}·{format_weight(piece.weight)}"
        for piece in _fragments(prompt.parts)
        if piece.weight != 1 and piece.text.strip()
    ]
    return ", ".join(weighed)


def count_parts(prompt: Prompt) -> str:
    """Into how many parts a prompt is divided, and how: “2 parts, AND”; empty for one."""
    if prompt.how is How.TEXT:
        return ""
    names = {How.BLEND: ".blend()", How.JOIN: ".and()", How.COMPOSE: "AND"}
    return f"{len(prompt.parts)} parts, {names[prompt.how]}"


def suggest_syntax(prompt: str, syntax: str) -> str:
    """A hint for a prompt with signs of A1111's language that mean nothing in InvokeAI's, or with
    networks of kinds that only extensions of A1111 know; empty if there are none."""
    if syntax == INVOKEAI and (found := _OF_A1111.search(prompt)):
        return f"“{_shorten(found[0])}” looks like A1111's syntax: --syntax a1111"
    if syntax == A1111 and (tag := next(find_unknown_tags(prompt), "")):
        return f"“{_shorten(tag)}” is neither a LoRA nor a hypernetwork: it is read as words"
    return ""


def _shorten(sign: str) -> str:
    sign = " ".join(sign.split())
    return sign if len(sign) <= _LONGEST_SIGN else f"{sign[:_LONGEST_SIGN]}…"


def _fragments(parts: tuple[PromptPart, ...]) -> Iterator[Fragment]:
    for part in parts:
        for piece in part.pieces:
            if isinstance(piece, Fragment):
                yield piece
            elif isinstance(piece, Swap):
                yield from (*piece.before, *piece.after)


def _describe_pieces(pieces: tuple[Piece, ...]) -> Iterator[str]:
    for piece in pieces:
        match piece:
            case Break():
                yield "BREAK"
            case Swap(before, after):
                old, new = ("".join(one.text for one in side).strip() for side in (before, after))
                yield f"swap   {old or '(nothing)'} → {new or '(nothing)'}"
            case Fragment(text, weight):
                yield f"{format_weight(weight):<6} {text.strip() or '(nothing)'}"
