"""Makes lines from foreign images and logs safe for the edit line."""

from __future__ import annotations

from dream.core.plain_text import remove_controls
from dream.line.log_lines import behind_prefix
from dream.line.slash_commands import translate_slash_command
from dream.line.words import FIX, quote, split_words

_ASKS_FOR_HELP = ("-h", "--help")


def make_typable(text: str) -> str:
    """A line from a file for the edit line: always one line; a command, or a word that ends the
    session, becomes a prompt. Lines that dream wrote are unchanged."""
    line = remove_controls(text).strip()
    while line.startswith("\ufeff"):  # byte order marks of files that were joined
        line = line.removeprefix("\ufeff").strip()
    bare = line[behind_prefix(line) :].strip()
    if bare.startswith("!") and not FIX.match(bare):
        return quote(bare)
    is_command = translate_slash_command(bare) != bare
    if bare in _ASKS_FOR_HELP or _is_single_word(bare) or is_command:
        return quote(bare)
    return line


def _is_single_word(line: str) -> bool:
    """Whether it is one word without quotes, such as `q`; in quotes it can only be a prompt."""
    words = list(split_words(line))
    return len(words) == 1 and not words[0].quoted and not words[0].switch
