"""`/help`, `/?`, `/set` and `/show`, as ollama's prompt has them, as commands of ours.

Other lines that begin with a slash are prompts, as are these words with more behind them than the
command takes, or in quotes.
"""

from __future__ import annotations

import re

_MODEL_PARTS = "info|license|modelfile|parameters|system|template"
_COMMANDS = (
    (re.compile(r"/(?:help|\?)(?P<rest>\s+\S+)?"), "!help"),
    (re.compile(r"/set(?:\s+parameter(?=\s))?(?P<rest>\s+\S+(?:\s+\S+)?)?"), "!set"),
    (re.compile(rf"/show(?:\s+(?:{_MODEL_PARTS}))?"), "!info -1"),
    (re.compile(r"/show(?P<rest>\s+\S+)"), "!info"),
)
"""What a whole line is, and what it means; the first that fits counts."""


def translate_slash_command(line: str) -> str:
    """The `!` command that a typed line means, or the line itself."""
    if not line.startswith("/"):
        return line
    for pattern, name in _COMMANDS:
        if match := pattern.fullmatch(line):
            rest = (match.groupdict().get("rest") or "").split()
            return " ".join([name, *rest])
    return line
