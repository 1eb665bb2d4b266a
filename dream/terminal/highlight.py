"""Highlight the edit line: switches, values, negative prompts and errors as the parser reads
them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from dream.commands import find_command, is_command, without_prefix
from dream.commands.command import Command
from dream.core.errors import BadLine
from dream.line import behind_prefix, is_skipped, parse_log_line
from dream.line.switch_names import LINE
from dream.line.switches import parse_switch
from dream.line.words import Word, split_line

Span = tuple[int, int, str]
"""The start, end and style name of a part of the line."""

_NEGATIVE = re.compile(r"\[[^\[\]]*\]")
_WEIGHT = re.compile(
    r"""(?<=[^\s+-])(?:\++|-+)(?=[\s,.;:!?)\]]|\Z)
      | (?<=\))(?:\d+\.?\d*|\.\d+)(?!\w)
      | :\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*(?=\))
      | \.(?:attend|swap|blend|and)(?=\()
      | <(?:lora|lyco|hypernet):[^<>]*>
      | (?<!\\)(?:\$?\{|\})
      | (?<![^\W_])__[\w\-./*]{1,200}?__""",
    re.VERBOSE,
)
"""Weights and methods in a prompt, networks, and what is chosen."""


class LineLexer(Lexer):
    """Styles the edit line with the line parser."""

    def __init__(self, commands: Collection[Command]) -> None:
        self._commands = commands

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Implements prompt_toolkit's interface: maps a row number to its styled text."""
        return lambda row: style_line(document.lines[row], self._commands)


def style_line(line: str, commands: Collection[Command]) -> StyleAndTextTuples:
    """Split the line into styled pieces; joined they are the line."""
    pieces: StyleAndTextTuples = []
    done = 0
    for start, end, style in find_spans(line, commands):
        pieces += [("", line[done:start]), (f"class:line.{style}", line[start:end])]
        done = end
    return [*pieces, ("", line[done:])]


def find_spans(line: str, commands: Collection[Command]) -> Iterator[Span]:
    """Yield the highlighted parts of a line, from left to right, without overlaps."""
    typed = line.strip()
    if is_skipped(typed):
        yield 0, len(line), "aside"
    elif is_command(typed) and typed.startswith("/"):
        start = line.index("/")
        yield start, start + len(typed.split(maxsplit=1)[0]), "command"
    elif is_command(typed):
        yield _highlight_command(line, without_prefix(typed).split(maxsplit=1)[0], commands)
    else:
        yield from _highlight_line(line)


def _highlight_command(line: str, name: str, commands: Collection[Command]) -> Span:
    start = line.index(name, behind_prefix(line))
    try:
        find_command(commands, name)
    except BadLine:
        unfinished = line.endswith(name) and any(c.name.startswith(name) for c in commands)
        return start, start + len(name), "command" if unfinished else "error"
    return start, start + len(name), "command"


def _highlight_line(line: str) -> Iterator[Span]:
    logged = parse_log_line(line)
    if not line.startswith(logged.line, logged.start):
        return  # translated from another tool's format: columns differ from the line's
    if logged.start:
        yield 0, logged.start, "aside"
    parts = split_line(line, logged.start)
    if parts.fixes:
        yield logged.start, logged.start + len("!fix"), "command"
    elif parts.prompt:
        yield from _highlight_prompt(line, parts.prompt)
    at = 0
    while at < len(parts.switches):
        word = parts.switches[at]
        try:
            switch = parse_switch(parts.switches, at, LINE, sweeps=True)
        except BadLine as error:
            end = _values_end(parts.switches, at)
            yield from _highlight_error(parts.switches[at:end], error.column - 1, len(line))
            at = end
            continue
        name_end = word.start + len(switch.name)
        yield word.start, name_end, "switch"
        value_end = parts.switches[switch.next - 1].end
        if value_end > name_end:
            yield name_end, value_end, "negative" if switch.known.field == "negative" else "value"
        at = switch.next
    if parts.comment < len(line):
        yield parts.comment, len(line), "aside"


def _highlight_prompt(line: str, prompt: Word) -> Iterator[Span]:
    """The parts in square brackets, and outside of them the weights."""
    inside = [match.span() for match in _NEGATIVE.finditer(line, prompt.start, prompt.end)]
    spans = [(start, end, "negative") for start, end in inside]
    for match in _WEIGHT.finditer(line, prompt.start, prompt.end):
        if not any(start <= match.start() < end for start, end in inside):
            spans.append((match.start(), match.end(), "weight"))
    yield from sorted(spans)


def _values_end(words: Sequence[Word], at: int) -> int:
    """The index after the values that follow a switch."""
    at += 1
    while at < len(words) and not words[at].switch:
        at += 1
    return at


def _highlight_error(words: Sequence[Word], fault: int, end: int) -> Iterator[Span]:
    """Yield the parts of a switch with an invalid value. A word at the end of the line may be
    unfinished and is not marked as an error."""
    for word in words:
        if word.start <= fault < word.end < end:
            if word.start < fault and word.switch:
                yield word.start, fault, "switch"
            yield fault, word.end, "error"
        elif word.switch:
            yield word.start, word.end, "switch"
