"""What a bracket of InvokeAI's language holds while it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dream.prompt.fragments import Raw, RawSwap

PUNCTUATION = ",;!?，。；！？、"
_ENDS = PUNCTUATION + ":：[]()"
_ENDS_WORD = frozenset(_ENDS)
_LAST_WORD = re.compile(rf"(?:.*[{re.escape(_ENDS)}])?", re.DOTALL)
"""What is before the last word of a text without white space."""


@dataclass(slots=True)
class OpenBracket:
    """What an open bracket holds so far."""

    start: int
    """The index of the bracket; -1 for none."""
    nodes: list[Raw | RawSwap] = field(default_factory=list)
    weight: float | None = None
    """What `:1.3` at its end says."""
    texts: list[str] = field(default_factory=list)
    """The words behind the last node, none of them empty."""

    def flush(self) -> None:
        """Make the words a node."""
        if self.texts:
            self.nodes.append(Raw("".join(self.texts)))
            self.texts = []

    def take_word(self) -> str:
        """Take the word at the end of the text, and flush what is before it; empty if there is
        none."""
        if not self.texts or self.texts[-1][-1] in _ENDS_WORD or self.texts[-1][-1].isspace():
            return ""
        text = "".join(self.texts)
        word = text.rsplit(None, 1)[-1]
        if not word.isalnum() and (before := _LAST_WORD.match(word)):
            word = word[before.end() :]
        self.texts = []
        if before_word := text[: len(text) - len(word)]:
            self.nodes.append(Raw(before_word))
        return word
