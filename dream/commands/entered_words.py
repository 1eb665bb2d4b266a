"""Prompts and words of entered lines, for completion and suggestions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from dream.line import behind_prefix, is_skipped, parse_log_line
from dream.line.words import split_line

RECENT = 1000
"""How many history lines are searched at each key; this takes some hundred microseconds."""

_WORD = re.compile(r"[^\W\d_][\w'’-]*")


def find_prompts(history: Sequence[str], start: str) -> Iterator[str]:
    """Yield longer prompts that start with `start`, the latest first, each once."""
    prompts = (extract_prompt(line) for line in reversed(history[-RECENT:]))
    yield from dict.fromkeys(p for p in prompts if p.startswith(start) and len(p) > len(start))


def find_words(history: Sequence[str], start: str) -> Iterator[str]:
    """Yield longer words of prompts that start with `start`, the latest first, each once."""
    yield from dict.fromkeys(
        word
        for line in reversed(history[-RECENT:])
        for word in _extract_words(line)
        if word.startswith(start) and len(word) > len(start)
    )


@lru_cache(2 * RECENT)
def extract_prompt(line: str) -> str:
    """Return the prompt in an entered line; empty for a command or a line without one."""
    if is_skipped(line) or line.startswith("!", behind_prefix(line)):
        return ""
    parts = split_line(line, parse_log_line(line).start)
    return parts.prompt.text if parts.prompt else ""


@lru_cache(2 * RECENT)
def _extract_words(line: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(extract_prompt(line)))
