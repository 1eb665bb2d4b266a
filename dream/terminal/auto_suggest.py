"""What was typed before, shown in gray behind what is being typed; → takes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from dream.line import behind_prefix, is_skipped, parse_log_line
from dream.line.words import split_line

RECENT = 1000
"""Lines of the past that are looked through at each key: some hundred microseconds."""

_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_HALF_WORD = re.compile(r"[^\W\d_][\w'’-]*\Z")
_LEAST = 2
"""Letters of a word before it is guessed."""


class HistorySuggest(AutoSuggest):
    """The latest line that begins as this one; or, inside a prompt, the rest of a word."""

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """prompt_toolkit's interface; called between two keys."""
        typed = document.text
        if not typed.strip() or "\n" in typed:
            return None
        past = buffer.history.get_strings()[-RECENT:]
        rest = next(find_lines(past, typed), None) or _word_on(past, typed)
        return Suggestion(rest[len(typed) :]) if rest else None


def find_lines(past: Sequence[str], start: str) -> Iterator[str]:
    """Lines that go on from this beginning, the latest first."""
    return (line for line in reversed(past) if line.startswith(start) and len(line) > len(start))


def find_prompts(past: Sequence[str], start: str) -> Iterator[str]:
    """Prompts that go on from this beginning, the latest first, each once."""
    found = (extract_prompt(line) for line in reversed(past[-RECENT:]))
    yield from dict.fromkeys(p for p in found if p.startswith(start) and len(p) > len(start))


def find_words(past: Sequence[str], start: str) -> Iterator[str]:
    """Words of prompts that go on from this beginning, the latest first, each once."""
    yield from dict.fromkeys(
        word
        for line in reversed(past[-RECENT:])
        for word in _words_of(line)
        if word.startswith(start) and len(word) > len(start)
    )


def _word_on(past: Sequence[str], typed: str) -> str | None:
    half = _HALF_WORD.search(typed)
    if half is None or len(half[0]) < _LEAST or not _in_prompt(typed):
        return None
    word = next(find_words(past, half[0]), None)
    return typed[: half.start()] + word if word else None


def _in_prompt(typed: str) -> bool:
    parts = split_line(typed, parse_log_line(typed).start)
    return (
        not typed.startswith("!", behind_prefix(typed))
        and not parts.switches
        and parts.comment == len(typed)
    )


@lru_cache(2 * RECENT)
def extract_prompt(line: str) -> str:
    """The prompt in an entered line; empty for a command or a line without one."""
    if is_skipped(line) or line.startswith("!", behind_prefix(line)):
        return ""
    parts = split_line(line, parse_log_line(line).start)
    return parts.prompt.text if parts.prompt else ""


@lru_cache(2 * RECENT)
def _words_of(line: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(extract_prompt(line)))
