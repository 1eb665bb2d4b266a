"""Writes one switch of a typed line, for buttons and sliders; the rest stays as it was typed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from dream.core.errors import BadLine
from dream.core.request import FLAGS, Request
from dream.line.log_lines import parse_log_line
from dream.line.switch_names import LINE, match_switch
from dream.line.switches import parse_switch
from dream.line.words import Word, quote_separate_value, split_line

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
"""A value that is joined to a short name, `-s20`."""


def set_switch(line: str, field: str, words: Sequence[str] | None) -> str:
    """The line with this switch set to a value, or without it for None. `words` are those of
    `OptionType.write`; a switch that was there is replaced in its place. Raises BadLine for an
    unknown field or a value that it cannot have."""
    flag = FLAGS.get(field)
    if flag is None or field == "prompt":
        raise BadLine(f"{field} is not the field of a switch")
    switch = ""
    if words is not None:
        try:
            value = flag.kind.read(list(words))
        except (ValueError, TypeError, IndexError):
            raise BadLine(f"{flag.names[0]} takes {flag.kind.expects}") from None
        written = [quote_separate_value(word) for word in flag.kind.write(value)]
        name = flag.names[0]
        is_short = len(name) == 2 and bool(written) and _NUMBER.fullmatch(written[0])
        switch = f"{name}{' '.join(written)}" if is_short else " ".join([name, *written])
    parts = split_line(line, parse_log_line(line).start)
    spans = list(_find_spans(parts.switches, field))
    if not spans:
        comment = line[parts.comment :]
        return " ".join(filter(None, (line[: parts.comment].rstrip(), switch, comment)))
    for start, end in reversed(spans):
        put = switch if (start, end) == spans[0] else ""
        before, after = line[:start].rstrip(), line[end:].lstrip()
        line = " ".join(filter(None, (before, put, after)))
    return line


def _find_spans(words: Sequence[Word], field: str) -> Iterator[tuple[int, int]]:
    """Where the switch of a field and its values are in the line."""
    at = 0
    while at < len(words):
        end = next((n for n in range(at + 1, len(words)) if words[n].switch), len(words))
        if words[at].switch and _field_of(words[at]) == field:
            with suppress(BadLine):  # a wrong value is replaced as a whole
                end = parse_switch(words, at, LINE, sweeps=True).next
            yield words[at].start, words[end - 1].end
        at = end


def _field_of(word: Word) -> str:
    """The field of `Request` that a switch means; "" for another one."""
    try:
        known = match_switch(word, LINE).known
    except BadLine:
        return ""
    return known.field if known.table is Request else ""
