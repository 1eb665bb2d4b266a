"""Parses a line into a Request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from dream.core.bounded_reading import LINE_LIMIT
from dream.core.errors import BadLine
from dream.core.request import Request
from dream.line.legacy_switches import LegacySwitches
from dream.line.log_lines import convert_web_log_line, is_skipped, split_path_prefix
from dream.line.switch_names import LINE, excerpt, match_switch
from dream.line.switches import (
    ParsedSwitch,
    make_unclosed_quote_error,
    parse_switch,
    suggest_double_quotes,
)
from dream.line.words import Parts, Word, has_unclosed_quote, split_line


def parse_line(line: str, base: Request = Request()) -> Request:  # noqa: B008 - frozen
    """The request of a line: a prompt, then switches; everything else is as in `base`.

    Log lines of every version are accepted too, with the path in front and the comment behind.
    A line that `is_skipped` gives `base`.

    Raises BadLine, with the column, for anything that is not understood; nothing is guessed.
    """
    changes = dict(parse_fields(line))
    return replace(base, **changes) if changes else base


def read_leniently(
    line: str,
    base: Request = Request(),  # noqa: B008 - frozen
) -> tuple[Request, tuple[str, ...]]:
    """The request of a line that another program wrote, as far as it can be read, and a message for
    each part that cannot. Raises nothing."""
    errors: list[BadLine] = []
    notes: list[str] = []
    try:
        changes = dict(parse_fields(line, note=notes.append, skip=errors.append))
    except BadLine as error:
        return base, (error.message,)
    return replace(base, **changes), (*notes, *(error.message for error in errors))


def _ignore(note: str) -> None:
    """Does nothing."""


def parse_fields(
    line: str,
    *,
    sweeps: bool = False,
    note: Callable[[str], None] = _ignore,
    skip: Callable[[BadLine], None] | None = None,
) -> Iterator[tuple[str, Any]]:
    """The fields and values of a line, in its order; the last value of a field counts, which has
    those before it where `OptionType.accumulates`.

    With `sweeps`, a list of values becomes a `ValueList`; else it is an error. `note` is called for
    what is ignored. With `skip`, a switch that cannot be read is skipped, and `skip` is called with
    the error; else it is raised. Raises BadLine.
    """
    if is_skipped(line):
        return
    if len(line) > LINE_LIMIT:
        raise BadLine(f"the line is longer than {LINE_LIMIT:,} characters", hint="shorten it")
    path, start = split_path_prefix(line)
    if path and (translated := convert_web_log_line(line[start:])):
        try:
            yield from _drop_variation_amount(_parse(translated, 0, False, note, skip, logged=True))
        except BadLine as error:
            raise BadLine(error.message, start + 1, error.hint) from None
    elif path:
        yield from _drop_variation_amount(_parse(line, start, sweeps, note, skip, logged=True))
    else:
        yield from _parse(line, start, sweeps, note, skip)


def _drop_variation_amount(parsed: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The fields of a log line, without -v if there is -V: old ones have both."""
    fields = list(parsed)
    varied = any(field == "with_variations" for field, _ in fields)
    return (field for field in fields if not (varied and field[0] == "variation_amount"))


def _parse(
    line: str,
    start: int,
    sweeps: bool,
    note: Callable[[str], None],
    skip: Callable[[BadLine], None] | None,
    logged: bool = False,
) -> Iterator[tuple[str, Any]]:
    parts = split_line(line, start)
    if line.startswith("!", start) and not parts.fixes:
        command = excerpt(line[start:].split(maxsplit=1)[0])
        raise BadLine(
            f"{command} is a command, but only prompts are accepted here",
            start + 1,
            f"in the shell, run dream '{command}'; in quotes it is a prompt",
        )
    if parts.fixes and not (parts.prompt and parts.prompt.text):
        raise BadLine("!fix takes an image file, but nothing follows", start + 1)
    if parts.prompt:
        text = parts.prompt.text
        if has_unclosed_quote(line, parts.prompt):
            error = _no_space(line, parts.prompt) or make_unclosed_quote_error(parts.prompt)
            if skip is None or parts.fixes:
                raise error
            skip(error)
            text = text[1:]
        yield "fix" if parts.fixes else "prompt", text
    quoted = parts.prompt is not None and parts.prompt.quoted
    otherwise = "" if quoted else "if it belongs to the prompt, put the prompt in quotes"
    at = 0
    collected: dict[str, tuple[Any, ...]] = {}
    while at < len(parts.switches):
        word = parts.switches[at]
        if (logged or parts.fixes) and _is_empty_seed(parts.switches, at):
            at += 1
            continue
        try:
            if not word.switch:
                raise _stray(line, parts, at)
            parsed = parse_switch(parts.switches, at, LINE, otherwise=otherwise, sweeps=sweeps)
            at = parsed.next
            if parsed.known.table is Request:
                yield parsed.known.field, _accumulate(collected, parsed, word.start + 1)
            else:
                # `-Igor`: -I exists, but most likely was not meant.
                glued = word.text.removeprefix(parsed.name)[:1].isalpha()
                _refuse_unless_harmless(parsed, word.start + 1, otherwise if glued else "")
        except BadLine as error:
            if skip is None:
                raise
            skip(error)
            at = _next_switch(parts.switches, parts.switches.index(word))


def _accumulate(collected: dict[str, tuple[Any, ...]], parsed: ParsedSwitch, column: int) -> Any:
    """The value of a switch, after those that the line had for it before where they add up. Raises
    BadLine if that are too many."""
    known, kind = parsed.known, parsed.known.flag.kind
    if not kind.accumulates:
        return parsed.value
    before = () if known.undo else collected.get(known.field, ())
    collected[known.field] = values = (*before, *(parsed.value or ()))
    if len(values) > (most := kind.nargs[1]):
        raise BadLine(f"{parsed.name} has {len(values)} values; at most {most} are used", column)
    return values or parsed.value


def _is_empty_seed(words: Sequence[Word], at: int) -> bool:
    """Whether it is a `-S` without a value, as InvokeAI logged `!fix` lines without a seed."""
    last = at + 1 == len(words) or words[at + 1].switch
    return words[at].text == "-S" and not words[at].quoted and last


def _next_switch(words: Sequence[Word], at: int) -> int:
    """The index after a word and the values that follow it."""
    return next((n for n in range(at + 1, len(words)) if words[n].switch), len(words))


def _no_space(line: str, prompt: Word) -> BadLine | None:
    """The error for a switch that directly follows the closing quote of the prompt; else None."""
    glued = re.compile(r'"(?=-{1,2}[A-Za-z])').search(line, prompt.start + 1)
    if glued is None:
        return None
    return BadLine("a space is missing between the quote and the switch", glued.end() + 1)


def _stray(line: str, parts: Parts, at: int) -> BadLine:
    word = parts.switches[at]
    if has_unclosed_quote(line, word):
        return make_unclosed_quote_error(word)
    text, column = excerpt(word.text), word.start + 1
    if at == 0:
        hint = 'quote the whole prompt, and write \\" for a quote inside it'
        return BadLine(f"“{text}” follows the quoted prompt", column, hint)
    first = max(index for index in range(at) if parts.switches[index].switch)
    switch = match_switch(parts.switches[first], LINE)
    most, taken = switch.known.flag.kind.nargs[1], at - first - (switch.value is None)
    if taken >= most > 1 and not switch.known.undo:
        return BadLine(f"{switch.name} takes at most {most} values; “{text}” is one more", column)
    hint = _suggest_double_quotes(parts.switches, at)
    hint = hint or "the prompt comes first; put a value with spaces in double quotes"
    return BadLine(f"“{text}” follows the switches", column, hint)


def _suggest_double_quotes(words: Sequence[Word], at: int) -> str:
    """The hint for the value that words[at] is a part of, if it is in other quotes."""
    first = max(index for index in range(at) if words[index].switch)
    switch = match_switch(words[first], LINE)
    if switch.known.undo or not switch.known.flag.kind.nargs[1]:
        return ""
    joined = () if switch.value is None else (words[first]._replace(text=switch.value),)
    return suggest_double_quotes(switch.name, (*joined, *words[first + 1 :]))


def _refuse_unless_harmless(parsed: ParsedSwitch, column: int, hint: str) -> None:
    """Raises BadLine for a switch that lines do not support, unless it changes nothing."""
    known = parsed.known
    if known.table is not LegacySwitches:
        raise BadLine(
            f"{parsed.name} can only be used when dream starts, not in a line", column, hint
        )
    if not known.undo and parsed.value != known.flag.default:
        raise BadLine(f"{parsed.name} ({known.flag.help}) is not supported", column, hint)
