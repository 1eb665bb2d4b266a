"""What to do about a value of `--control` that is refused."""

from __future__ import annotations

from difflib import get_close_matches

from dream.options.control import (
    KINDS_BY_SPELLING,
    UNSUPPORTED_KINDS,
    find_fault,
    split_control,
)

_LONGEST = 20
"""Letters of a kind that are compared."""


def suggest_control(typed: str) -> str:
    """What to do about refused words; empty if nothing is known."""
    if "=" not in typed:
        is_kind = typed.lower() in KINDS_BY_SPELLING
        return f"name the image: {typed}=FILE" if is_kind else "name the kind: canny=FILE"
    return next(filter(None, map(_suggest_word, typed.split())), "")


def _suggest_word(word: str) -> str:
    kind, has_image, image = word.partition("=")
    kind = kind.lower()
    if not has_image:
        return ""
    if instead := UNSUPPORTED_KINDS.get(kind):
        return f"{kind} is not supported: {instead}"
    if kind not in KINDS_BY_SPELLING:
        near = get_close_matches(kind[:_LONGEST], KINDS_BY_SPELLING, 1)
        return f"did you mean {KINDS_BY_SPELLING[near[0]]}?" if near else ""
    if not image:
        return f"name the image: {kind}=FILE"
    control = split_control(word)
    return "" if control is None else find_fault(control)
