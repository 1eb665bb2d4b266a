"""Parses one switch and its values from a list of words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from dream.core.errors import BadLine
from dream.core.request import Request
from dream.line.switch_names import (
    Names,
    SwitchEntry,
    SwitchMatch,
    excerpt,
    find_near,
    make_unknown_switch_error,
    match_switch,
)
from dream.line.value_lists import parse_list
from dream.line.words import Word, quote
from dream.options.option_type import OptionType

_NAMES_FILES = ("file", "picture", "folder")
"""The completions of option types whose value is a file name."""
_WITH_KIND = "control"
"""That of the option type whose value is a file name behind `KIND=`."""
_WITH_SETTINGS = (_WITH_KIND, "image_prompt")
"""Those whose file name can be in quotes with `:WEIGHT` behind them."""
_IN_QUOTES = re.compile(r'(\w+=)?"(.*?)"((?::[^"]*)?)', re.DOTALL)
_OTHER_QUOTES: Mapping[str, str] = MappingProxyType(
    {"'": "'", "‘": "’", "’": "’", "“": "”", "”": "”", "„": "“", "«": "»"}
)
"""Quotes that shells and keyboards have and a line does not: opening → closing."""


class ParsedSwitch(NamedTuple):
    """A parsed switch."""

    known: SwitchEntry
    name: str
    value: Any
    """A `ValueList` for a list of values."""
    next: int
    """The index of the first word after it."""


def parse_switch(
    words: Sequence[Word],
    at: int,
    names: Names,
    *,
    otherwise: str = "",
    text_follows: bool = False,
    sweeps: bool = False,
) -> ParsedSwitch:
    """Parse the switch at words[at] with as many values as it takes.

    `otherwise` is the hint for a word that was not meant as a switch. With `text_follows` (in the
    shell, `-U 2 some words`), words that the switch cannot use are left; else they are an error.
    With `sweeps`, a switch that takes one value may have a list of them. Raises BadLine.
    """
    word = words[at]
    match = match_switch(word, names, otherwise)
    flag, undo = match.known.flag, match.known.undo
    low, high = (0, 0) if undo else flag.kind.nargs
    if match.value is not None and not high:
        raise BadLine(f"{match.name} takes no value", word.start + 1)
    values = [] if match.value is None else [word._replace(text=match.value)]
    at += 1
    joins = flag.kind.joins and not text_follows and not undo
    named = flag.kind.completion
    pasted = named in (*_NAMES_FILES, *_WITH_SETTINGS) and not text_follows
    if values and pasted:
        values[0], at = _pasted(values[0], words, at, named)
    while (len(values) < high or joins) and at < len(words) and not words[at].switch:
        value, at = words[at], at + 1
        if pasted:
            value, at = _pasted(value, words, at, named)
        values.append(value)
    end = at
    if joins and len(values) > 1:
        values = _joined(values)
    if len(values) < low:
        missing = f"but only {values[0].text} follows" if values else "but nothing follows"
        raise BadLine(f"{match.name} takes {flag.kind.expects}, {missing}", word.start + 1)
    _require_closed_quotes(values, named)
    if len(values) > 1 and (hint := suggest_double_quotes(match.name, values)):
        raise BadLine("only double quotes join words", _column(values[0]), hint)
    if undo:
        return ParsedSwitch(match.known, match.name, flag.default, at)
    fewest = low if text_follows else len(values)
    for count in range(len(values), fewest - 1, -1):
        try:
            read = _read(flag.kind, [value.text for value in values[:count]])
        except ValueError:
            continue
        return ParsedSwitch(
            match.known, match.name, read, end if joins else at - len(values) + count
        )
    if sweeps and _is_list(match, values[0].text):
        value = values[0]
        listed = parse_list(match.name, flag.kind, value.text, _column(value) + value.quoted)
        return ParsedSwitch(match.known, match.name, listed, at)
    raise _refusal(word, match, values, names, otherwise)


def _get_file_name(text: str, named: str) -> str:
    """What is typed as the file's name, with its quotes."""
    return text.partition("=")[2] if named == _WITH_KIND else text


def _require_closed_quotes(values: Sequence[Word], named: str) -> None:
    for value in values:
        typed = _get_file_name(value.text, named)
        if typed.startswith('"') and not value.quoted:
            raise make_unclosed_quote_error(value)


def _pasted(value: Word, words: Sequence[Word], at: int, named: str) -> tuple[Word, int]:
    """A file name with spaces as a terminal pastes it, in apostrophes or with a backslash before
    each space: one value, and the index after it. An unclosed apostrophe changes nothing. `named`
    is the completion of the option's type: behind `KIND=`, or before `:WEIGHT`, the name can be in
    double quotes, too."""
    first = _get_file_name(value.text, named)[:1]
    quote_mark = first if first == "'" or (first == '"' and named in _WITH_SETTINGS) else ""
    text, end, index = value.text, value.end, at
    while not value.quoted and _is_incomplete(text, quote_mark):
        if index == len(words) or (words[index].switch and not quote_mark):
            return value, at
        text += " " * (words[index].start - end) + words[index].text
        end, index = words[index].end, index + 1
    if quote_mark == '"' and not value.quoted and (match := _IN_QUOTES.fullmatch(text)):
        return Word("".join(match.groups("")), value.start, end, True, False), index
    return (value, at) if index == at else (Word(text, value.start, end, True, False), index)


def _is_incomplete(text: str, quote_mark: str) -> bool:
    if quote_mark:
        return text.count(quote_mark) % 2 == 1
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _joined(values: Sequence[Word]) -> list[Word]:
    """The words as one value, and a number after them, if there is one."""
    number = _is_number(values[-1].text)
    head = values[:-1] if number else values
    first = head[0]
    if len(head) > 1:
        text = " ".join(word.text for word in head)
        first = Word(text, first.start, head[-1].end, True, False)
    return [first, *values[len(head) :]]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_list(match: SwitchMatch, text: str) -> bool:
    known = match.known
    ranged = known.flag.kind.allows_range and ".." in text
    return known.table is Request and known.flag.allows_sweep and ("," in text or ranged)


def make_unclosed_quote_error(word: Word) -> BadLine:
    """The error for a quote that is not closed."""
    hint = 'put a " at the end'
    if "\\" in word.text:
        hint += '; inside quotes \\" is a quote mark and \\\\ a backslash'
    return BadLine("this quote is never closed", _column(word), hint)


def suggest_double_quotes(name: str, values: Sequence[Word]) -> str:
    """The hint for a switch whose value is several words in quotes other than `"`; empty for any
    other value."""
    closing = _OTHER_QUOTES.get(values[0].text[:1], "") if values and not values[0].quoted else ""
    for count, word in enumerate(values, 1):
        if closing and count > 1 and word.text.endswith(closing):
            text = " ".join(value.text for value in values[:count])[1:-1]
            return f"use double quotes: {name} {quote(text)}"
    return ""


def _column(value: Word) -> int:
    """The column of a value, whose word may begin with the switch's name."""
    return 1 + (value.start if value.quoted else value.end - len(value.text))


def _read(kind: OptionType[Any], words: list[str]) -> Any:
    try:
        return kind.read(words)
    except ValueError:
        apart = [part for word in words for part in word.split(",")]
        if not len(words) < len(apart) <= kind.nargs[1]:
            raise
        return kind.read(apart)


def _refusal(
    word: Word, match: SwitchMatch, values: Sequence[Word], names: Names, otherwise: str
) -> BadLine:
    """The error for values that a switch does not take."""
    kind = match.known.flag.kind
    if match.value and match.value[0].isalpha() and not kind.choices and "=" not in word.text:
        # `-small`: more likely a word of the prompt, or another switch, than -s with a value.
        return make_unknown_switch_error(word, names, otherwise)
    typed = " ".join(value.text for value in values)
    suggestion = kind.suggest(typed)
    nearest = find_near(typed, kind.choices)
    # A suggestion says what is wrong: it should be seen in one line, as the toolbar has it.
    expects = kind.metavar if suggestion else kind.expects
    return BadLine(
        f"{match.name} takes {expects}, not “{excerpt(typed)}”",
        _column(values[0]),
        suggestion or (f"did you mean {nearest}?" if nearest else ""),
    )
