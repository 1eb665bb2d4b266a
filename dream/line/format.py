"""Formats a Request as a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from dream.core.errors import BadLine
from dream.core.request import FLAGS, Request
from dream.line.switch_names import LINE, match_switch
from dream.line.words import Word, quote, quote_separate_value, quote_value
from dream.options.option_type import Flag
from dream.options.syntax_table import A1111, PLAIN
from dream.prompt import split_negative


def format_line(request: Request, base: Request = Request()) -> str:  # noqa: B008 - frozen
    """The line for a request: `parse_line(format_line(request, base), base) == request`.

    Always one line of valid UTF-8: the prompt in quotes, or the file's name behind `!fix`; then the
    switches that differ from the base, and those of `Flag.always_logged` whenever they are set.
    """
    return format_line_with_lists(request, base, {})


def format_explicitly(request: Request, bases: Iterable[Request]) -> str:
    """The line that asks for this whichever of these defaults it is read with."""
    slot = "prompt" if request.fix is None else "fix"
    line = [quote(request.prompt) if request.fix is None else f"!fix {quote(request.fix)}"]
    for field, flag in FLAGS.items():
        value = getattr(request, field)
        ways = (_switch(flag, value, getattr(base, field)) for base in bases)
        line += next(filter(None, ways), []) if field != slot else []
    return " ".join(line)


def write_spelled(request: Request) -> str:
    """The line in InvokeAI's form, with a space between each switch and its value, for other
    programs to read: `"a red circle" -s 20 -S 42`. The negative prompt is in brackets
    inside the prompt if that means the same. The parsed line generates the same image."""
    if request.negative and request.fix is None and request.syntax != A1111:
        split = partial(split_negative, unescape=request.syntax == PLAIN)
        parts = split(request.prompt, request.negative)
        ways = (f"{request.prompt} [{request.negative}]", f"[{request.negative}] {request.prompt}")
        if inside := next((way for way in ways if split(way, "") == parts), None):
            request = replace(request, prompt=inside, negative="")
    slot = "prompt" if request.fix is None else "fix"
    line = [quote(request.prompt) if request.fix is None else f"!fix {quote(request.fix)}"]
    base = Request()
    for field, flag in FLAGS.items():
        value = getattr(request, field)
        if field == slot or value == getattr(base, field):
            continue
        if value is None or value is False or value == "":
            line.append(f"--no-{flag.long_name}")
        else:
            line += [flag.names[0], *map(quote_separate_value, flag.kind.write(value))]
    return " ".join(line)


def format_line_with_lists(
    request: Request, base: Request, several: Mapping[str, Sequence[Any]]
) -> str:
    """The same with several values for some fields, as lists with commas."""
    slot = "prompt" if request.fix is None else "fix"
    line = [quote(request.prompt) if request.fix is None else f"!fix {quote(request.fix)}"]
    for field, flag in FLAGS.items():
        if field in several:
            items = (flag.kind.write(value)[0] for value in several[field])
            line.append(_joined(flag, ",".join(items)))
        elif field != slot:
            line += _switch(flag, getattr(request, field), getattr(base, field))
    return " ".join(line)


def format_changes(values: Mapping[str, Any], base: Request) -> str:
    """The switches that turn a request into one with these values, also for its prompt."""
    words: list[str] = []
    for field, value in values.items():
        before = getattr(base, field)
        if value != before:
            words += _switch(FLAGS[field], value, before)
    return " ".join(words)


def format_fields(request: Request, fields: Iterable[str]) -> str:
    """Only some fields, as switches: `-C7.5 -Ak_euler`."""
    words: list[str] = []
    for field in fields:
        words += _switch(FLAGS[field], getattr(request, field), None)
    return " ".join(words)


def _switch(flag: Flag, value: Any, inherited: Any) -> list[str]:
    if value is None or value is False or value == "":
        return [] if value == inherited else [f"--no-{flag.long_name}"]
    if value == inherited and not flag.always_logged:
        return []
    words = flag.kind.write(value)
    if len(words) != 1:
        return [flag.names[0], *map(quote_separate_value, words)]
    return [_joined(flag, words[0])]


def _joined(flag: Flag, value: str) -> str:
    """Name and value in one word: `-s20`, `--model=tiny`, `--outdir="my pictures"`."""
    name = flag.names[0]
    if (
        len(name) == len("-s")
        and quote_value(value) == value
        and _reads_as(name + value, flag, value)
    ):
        return name + value
    return f"--{flag.long_name}={quote_value(value)}"


def _reads_as(text: str, flag: Flag, value: str) -> bool:
    """Whether a joined word is read as this flag and value. `-outdir` is not -o with utdir."""
    try:
        match = match_switch(Word(text, 0, len(text), False, True), LINE)
    except BadLine:
        return False
    return match.known.flag is flag and not match.known.undo and match.value == value
