"""Lines from pictures and logs that others wrote, made fit to be typed."""

from __future__ import annotations

from dream.core.plain_text import remove_controls
from dream.line.log_lines import behind_prefix
from dream.line.slash_commands import translate_slash_command
from dream.line.words import FIX, quote, split_words

_ASKS_FOR_HELP = ("-h", "--help")


def make_typable(text: str) -> str:
    """A line from a file as it may be put into an edit line: it stays one line, and what would be
    a command, or the word that ends a session, becomes a prompt. A line of ours is unchanged."""
    line = remove_controls(text).strip().removeprefix("\ufeff").strip()
    bare = line[behind_prefix(line) :].strip()
    if bare.startswith("!") and not FIX.match(bare):
        return quote(bare)
    if bare in _ASKS_FOR_HELP or _is_a_word(bare) or translate_slash_command(bare) != bare:
        return quote(bare)
    return line


def _is_a_word(line: str) -> bool:
    """One word without quotes, such as `q`: with quotes it means the same wherever it is a prompt,
    and nothing else anywhere."""
    found = list(split_words(line))
    return len(found) == 1 and not found[0].quoted and not found[0].switch
