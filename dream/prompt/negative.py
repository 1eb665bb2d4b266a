"""Splits `[words]` in a prompt off as part of the negative prompt."""

from __future__ import annotations

import re

_BRACKET = re.compile(r"\\?[\[\]]")


def split_negative(prompt: str, negative: str, *, unescape: bool = True) -> tuple[str, str]:
    """The prompt and the negative prompt for the text encoder.

    Parts in balanced square brackets move from the prompt to the negative prompt, joined by commas.
    `\\[` and `\\]` are literal brackets; so is a bracket without its partner. Without `unescape`
    the backslashes stay, for a parser that knows more of them.

    >>> split_negative("a cat [blurry], on a mat [red]", "dark")
    ('a cat, on a mat', 'dark, blurry, red')
    """
    positive, avoided, at = "", [negative.strip()], 0
    for start, end in _balanced(prompt):
        positive = _seam(positive, prompt[at:start])
        inside = re.sub(r"(?<!\\)[\[\]]", "", prompt[start + 1 : end - 1])
        avoided.append(inside.strip())
        at = end
    if at:
        positive = _seam(positive, prompt[at:]) if prompt[at:].strip() else positive.rstrip(" ,")
    else:
        positive = prompt
    combined = ", ".join(filter(None, avoided))
    return (_literal(positive), _literal(combined)) if unescape else (positive, combined)


def _balanced(prompt: str) -> list[tuple[int, int]]:
    """Start and end of the outermost bracketed parts, in order."""
    spans: list[tuple[int, int]] = []
    opened: list[int] = []
    for bracket in _BRACKET.finditer(prompt):
        if bracket[0] == "[":
            opened.append(bracket.start())
        elif bracket[0] == "]" and opened:
            start = opened.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, bracket.end()))
    return spans


def _seam(left: str, right: str) -> str:
    """Join the text on both sides of a removed bracket."""
    left, right = left.rstrip(), right.lstrip()
    if left.endswith(",") or not left:
        right = right.removeprefix(",").lstrip()
    if not (left and right):
        return left or right
    close = right[0] in ",.;:!?)" or left[-1] == "("
    return left + right if close else f"{left} {right}"


def _literal(text: str) -> str:
    return text.replace("\\[", "[").replace("\\]", "]")
