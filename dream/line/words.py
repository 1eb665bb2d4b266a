r"""The tokenizer: splits a line into words, and quotes words for a line.

The parser, the formatter, completion and highlighting all use it.

Words are separated by spaces. A word that starts with `"` may contain spaces if its next `"` closes
it, that is, is followed by a space or the end of the line. So may the value of a switch
(`--outdir="my pictures"`). Apostrophes, dashes, and quotes anywhere else are ordinary characters.

Inside quotes only, `\"` `\\` `\'` are `"` `\` `'`, and `\u{a}` is the character with that
(hexadecimal) number. Every other backslash is itself: `"C:\new folder"` needs no escapes, nor does
a share at the start of a word, `"\\nas\my pictures"`. Only a backslash directly before the closing
quote must be doubled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

SWITCH_LIKE = re.compile(r"-{1,2}[A-Za-z]")
"""The start of a switch: one dash or two, and a letter. No unquoted word of a prompt has it."""

# Possessive (`*+`), so that every line takes one pass.
_WORD = re.compile(
    r'(?P<head>-{1,2}[A-Za-z][A-Za-z0-9_-]*+=?)?"(?P<body>(?:[^"\\]|\\.)*+)"(?!\S)|\S+', re.DOTALL
)
# A prompt in quotes with unescaped quotes inside, as earlier programs logged it. Lazy, with short
# lookaheads, so that it takes one pass.
_NESTED = re.compile(r'"(?P<body>.*?)(?<!\\)"(?=\s+-{1,2}[A-Za-z]|\s+#|\s*\Z)', re.DOTALL)
FIX = re.compile(r"!fix(?!\S)\s*")
"""The start of a line that has an image file instead of a prompt."""
_ESCAPE = re.compile(
    r"""(?P<share> \A \\\\ (?=[a-z0-9]) (?!u\{) )
      | \\ (?P<char> ["'\\] )
      | \\u \{ (?P<code> [0-9a-f]{1,6} ) \}""",
    re.VERBOSE | re.IGNORECASE,
)
# Controls, line and paragraph separators, lone surrogates: all that would break a line in two, or
# is not valid UTF-8.
_UNWRITABLE = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_TO_ESCAPE = re.compile(
    rf"""(?P<quote> " )
       | (?P<slash> \\ (?= [\\"'`{_UNWRITABLE}] | \$[({{[] | u\{{ | \Z ) )
       | (?P<code> [`{_UNWRITABLE}] | \$ (?= [({{[] ) )""",
    re.VERBOSE | re.IGNORECASE,
)
# A log line pasted into a shell by mistake should be no more than a command that is not found, even
# with a stranger's prompt in it. Inside double quotes a shell runs `…` and $(…); outside of them
# these characters end a word or begin a quote.
_SHELL = re.compile(r"[`$;&|<>()']")


class Word(NamedTuple):
    """One word of a line."""

    text: str
    """The text without quotes and escapes."""
    start: int
    end: int
    """line[start:end] is the word as it was typed."""
    quoted: bool
    """Whether it, or its value, was in quotes."""
    switch: bool
    """Whether it starts, outside quotes, like a switch."""


class Parts(NamedTuple):
    """The three parts of a line."""

    prompt: Word | None
    switches: tuple[Word, ...]
    """The first switch and all words after it, up to the comment."""
    comment: int
    """The index of the comment's `#`; the length of the line if there is none."""
    fixes: bool = False
    """Whether it is a `!fix` line: the prompt is a file name."""


def split_words(line: str, start: int = 0) -> Iterator[Word]:
    """The words of a line, from an index on. Accepts any text; raises nothing."""
    return map(_word, _WORD.finditer(line, start))


def split_line(line: str, start: int = 0) -> Parts:
    """The prompt, the switches, and the comment, from an index in the line on.

    A prompt in quotes is one word. Any other ends at the first unquoted word that starts like a
    switch; quotes inside it are kept. A comment is a word after the prompt that starts with `#`;
    without quotes or switches, `#` is part of the prompt.
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
    comment, or the end. In a typed line only if nothing else is possible; in a log line, which was
    written without escapes, whenever unexpected words follow."""
    if opening.switch or not line.startswith('"', opening.start):
        return None
    if opening.quoted:
        rest = line[opening.end :].lstrip()
        logged = line[:start].rstrip().endswith(":")
        if not logged or not rest or rest.startswith("#") or SWITCH_LIKE.match(rest):
            return None
    match = _NESTED.match(line, opening.start)
    if match is None:
        return None
    text = _ESCAPE.sub(_unescaped, match["body"])
    return Word(text, match.start(), match.end(), True, False)


def quote(text: str) -> str:
    """The text in quotes: one word, on one line, valid UTF-8, that parses to exactly this text."""
    return f'"{_TO_ESCAPE.sub(_escaped, text)}"'


def quote_value(text: str) -> str:
    """The text as a value joined to a switch's name, in quotes only if needed."""
    plain = text.isprintable() and " " not in text and '"' not in text and not _SHELL.search(text)
    return text if plain and text else quote(text)


def quote_separate_value(text: str) -> str:
    """The text as a separate word, which is never read as a switch or a comment, nor as the
    beginning of a pasted file name."""
    apart = text.startswith(("-", "#")) or text.endswith("\\")
    return quote(text) if apart else quote_value(text)


def has_unclosed_quote(line: str, word: Word) -> bool:
    """Whether a word opens a quote that is not closed."""
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
