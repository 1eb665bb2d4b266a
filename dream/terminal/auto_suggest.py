"""Suggest text from the history, in gray after the cursor; → accepts it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from dream.commands.entered_words import RECENT, find_words
from dream.line import behind_prefix, parse_log_line
from dream.line.words import split_line

_HALF_WORD = re.compile(r"[^\W\d_][\w'’-]*\Z")
_MIN_LETTERS = 2
"""How many letters of a word are needed for a suggestion."""


class HistorySuggest(AutoSuggest):
    """Suggests the latest line with the same beginning or, inside a prompt, the rest of a word."""

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """Implements prompt_toolkit's interface; called after each key."""
        typed = document.text
        if not typed.strip() or "\n" in typed:
            return None
        history = buffer.history.get_strings()[-RECENT:]
        rest = next(find_lines(history, typed), None) or _complete_word(history, typed)
        return Suggestion(rest[len(typed) :]) if rest else None


def find_lines(history: Sequence[str], start: str) -> Iterator[str]:
    """Yield longer lines that start with `start`, the latest first."""
    return (line for line in reversed(history) if line.startswith(start) and len(line) > len(start))


def _complete_word(history: Sequence[str], typed: str) -> str | None:
    half = _HALF_WORD.search(typed)
    if half is None or len(half[0]) < _MIN_LETTERS or not _in_prompt(typed):
        return None
    word = next(find_words(history, half[0]), None)
    return typed[: half.start()] + word if word else None


def _in_prompt(typed: str) -> bool:
    parts = split_line(typed, parse_log_line(typed).start)
    return (
        not typed.startswith("!", behind_prefix(typed))
        and not parts.switches
        and parts.comment == len(typed)
    )
