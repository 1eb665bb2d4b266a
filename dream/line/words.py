r"""A line cut into words, and words put back into a line.

The one tokenizer: the reader, the writer, completion and colours all look through it.

Words stand between spaces. A word that opens with `"` may hold spaces if its next `"` closes it,
which is to say: stands before a space or the end of the line. So may the value of a switch
(`--outdir="my pictures"`). Apostrophes, dashes, and quotes anywhere else are letters like others.

Inside quotes, and nowhere else, `\"` `\\` `\'` are `"` `\` `'`, and `\u{a}` is the character with
that (hexadecimal) number. Every other backslash is itself: `"C:\new folder"` needs no care, nor
does a share that opens a word, `"\\nas\my pictures"`. Only a backslash that stands last, before
the closing quote, must be doubled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

SWITCH_LIKE = re.compile(r"-{1,2}[A-Za-z]")
"""What no unquoted word of a prompt begins with: one dash or two, and a letter."""

# Possessive (`*+`), so that no line, however odd, takes more than one pass.
_WORD = re.compile(
    r'(?P<head>-{1,2}[A-Za-z][A-Za-z0-9_-]*+=?)?"(?P<body>(?:[^"\\]|\\.)*+)"(?!\S)|\S+', re.DOTALL
)
# A prompt in quotes that holds quotes as they are, as programs before us logged it. Lazy, and what
# it looks ahead at is never looked at twice for long: one pass.
_NESTED = re.compile(r'"(?P<body>.*?)(?<!\\)"(?=\s+-{1,2}[A-Za-z]|\s+#|\s*\Z)', re.DOTALL)
FIX = re.compile(r"!fix(?!\S)\s*")
"""What a line begins with that is about a picture's file, where others have their prompt."""
_ESCAPE = re.compile(
    r"""(?P<share> \A \\\\ (?=[a-z0-9]) (?!u\{) )
      | \\ (?P<char> ["'\\] )
      | \\u \{ (?P<code> [0-9a-f]{1,6} ) \}""",
    re.VERBOSE | re.IGNORECASE,
)
# Controls, line and paragraph separators, halves of surrogate pairs: all that would break a line
# in two, or not be UTF-8.
_UNSPEAKABLE = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_TO_ESCAPE = re.compile(
    rf"""(?P<quote> " )
       | (?P<slash> \\ (?= [\\"'`{_UNSPEAKABLE}] | \$[({{[] | u\{{ | \Z ) )
       | (?P<code> [`{_UNSPEAKABLE}] | \$ (?= [({{[] ) )""",
    re.VERBOSE | re.IGNORECASE,
)
# A log line that is given to a shell by mistake is a command that is not found, and its words: a
# stranger's prompt in it shall not become more. Inside double quotes a shell runs `…` and $(…);
# outside of them these characters end a word or begin a quote.
_SHELL = re.compile(r"[`$;&|<>()']")


class Word(NamedTuple):
    """One word of a line."""

    text: str
    """What it says: quotes and escapes undone."""
    start: int
    end: int
    """line[start:end] is the word as it was typed."""
    quoted: bool
    """It, or the value it carries, was in quotes."""
    switch: bool
    """It begins, outside quotes, like a switch."""


class Parts(NamedTuple):
    """A line in its three parts."""

    prompt: Word | None
    switches: tuple[Word, ...]
    """The first of them and all that follows, before the comment."""
    comment: int
    """Where the ` #` of the comment is; the length of the line when there is none."""
    fixes: bool = False
    """It is a `!fix` line: the prompt is the name of a file."""


def split_words(line: str, start: int = 0) -> Iterator[Word]:
    """The words of a line, from a place in it on. Any text is words; nothing is raised."""
    return map(_word, _WORD.finditer(line, start))


def split_line(line: str, start: int = 0) -> Parts:
    """The prompt, the switches, and the comment, from a place in the line on.

    A prompt in quotes is one word and ends there. Any other goes up to the first unquoted word
    that begins like a switch; quotes inside it stay. A comment is a word that begins with `#`
    after that; without quotes or switches, `#` is part of the prompt.
    """
    fix = FIX.match(line, start)
    matches = _WORD.finditer(line, fix.end() if fix else start)
    first = next(matches, None)
    if first is None:
        return Parts(None, (), len(line), fix is not None)
    opening = _word(first)
    if nested := _nested(line, opening, start) if fix is None else None:
        opening = nested
    prompt, after = None, opening.start
    if opening.quoted and not opening.switch:
        prompt, after = opening, opening.end
    elif not opening.switch:
        end, after = opening.end, len(line)
        for match in matches:
            if SWITCH_LIKE.match(line, match.start()):
                after = match.start()
                break
            end = match.end()
        prompt = Word(line[opening.start : end], opening.start, end, False, False)
    switches: list[Word] = []
    for word in split_words(line, after):
        if line[word.start] == "#":
            return Parts(prompt, tuple(switches), word.start, fix is not None)
        switches.append(word)
    return Parts(prompt, tuple(switches), len(line), fix is not None)


def _nested(line: str, opening: Word, start: int) -> Word | None:
    """The prompt of `"a sign saying "open"" -s50`: up to the quote before the first switch, the
    comment, or the end. Typed, only where nothing else could be meant; in a log line, which was
    written without escapes, wherever more words follow than there may be."""
    if opening.switch or not line.startswith('"', opening.start):
        return None
    if opening.quoted:
        rest = line[opening.end :].lstrip()
        logged = line[:start].rstrip().endswith(":")
        if not logged or not rest or rest.startswith("#") or SWITCH_LIKE.match(rest):
            return None
    found = _NESTED.match(line, opening.start)
    if found is None:
        return None
    text = _ESCAPE.sub(_unescaped, found["body"])
    return Word(text, found.start(), found.end(), True, False)


def quote(text: str) -> str:
    """Text in quotes: one word, on one line, valid UTF-8, that says exactly this text."""
    return f'"{_TO_ESCAPE.sub(_escaped, text)}"'


def quote_value(text: str) -> str:
    """Text as a value behind a switch's name, in quotes only if it needs them."""
    plain = text.isprintable() and " " not in text and '"' not in text and not _SHELL.search(text)
    return text if plain and text else quote(text)


def quote_separate_value(text: str) -> str:
    """The same as a word of its own, never to be taken for a switch or a comment."""
    return quote(text) if text.startswith(("-", "#")) else quote_value(text)


def has_unclosed_quote(line: str, word: Word) -> bool:
    """Whether a word opens a quote that nothing closes."""
    return not word.quoted and line.startswith('"', word.start)


def _word(match: re.Match[str]) -> Word:
    body = match["body"]
    if body is None:
        text = match[0]
        return Word(text, match.start(), match.end(), False, SWITCH_LIKE.match(text) is not None)
    text = _ESCAPE.sub(_unescaped, body) if "\\" in body else body
    head = match["head"] or ""
    return Word(head + text, match.start(), match.end(), True, bool(head))


def _unescaped(match: re.Match[str]) -> str:
    if match["code"]:
        code = int(match["code"], 16)
        return chr(code) if code <= 0x10FFFF else match[0]
    return match["char"] or match["share"]


def _escaped(match: re.Match[str]) -> str:
    if match["code"]:
        return f"\\u{{{ord(match['code']):x}}}"
    return "\\" + match[0]
