"""Completes a half-typed line: a pure function of the line and the cursor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from dream.core.errors import BadLine
from dream.core.request import FLAGS, Request
from dream.line.log_lines import parse_log_line
from dream.line.parse import parse_line
from dream.line.switch_names import LINE, SwitchMatch, match_switch
from dream.line.words import (
    Parts,
    Word,
    has_unclosed_quote,
    quote,
    quote_separate_value,
    quote_value,
    split_line,
)
from dream.options.option_type import Flag

_DASH = re.compile(r"(?<!\S)-{1,2}\Z")
_HALF_WORD = re.compile(r"\w[\w'’-]*\Z")
_HALF_NAME = re.compile(
    r"""(?: (?P<wildcard>(?<![^\W_])__) | (?P<hypernet><hypernet:) | (?P<lora><(?:lora|lyco):)
          | (?P<call>(?<!\w)(?:with|use)Lora\() | (?P<embedding>(?<!\w)embedding:))
        (?P<name>[^<>:(),|{}"\n]*)\Z""",
    re.VERBOSE,
)
"""A half-typed name of a wildcard, a network or an embedding."""
_CALLED = {"call": "lora"}
_WRITTEN = {
    "wildcard": "__{}__",
    "hypernet": "<hypernet:{}:1>",
    "lora": "<lora:{}:1>",
    "call": "withLora({}, 1)",
    "embedding": "embedding:{}",
}
_OPEN_QUOTE = re.compile(r'(?:-{1,2}[A-Za-z][A-Za-z0-9_-]*+=?)?"')


class Suggestion(NamedTuple):
    """A completion: `text` replaces line[start:cursor]."""

    text: str
    start: int
    display: str
    meta: str
    """One line of help; may be empty."""


Values = Callable[[str, str], Iterable[tuple[str, str]]]
"""A function of `OptionType.completion` ("file", "model", "seed" …), or "prompt", "word" or
"wildcard", and the typed beginning; returns values, each with a line of help. The front end
implements it, since it knows the files, the session and the history."""


def complete_nothing(completes: str, typed: str) -> Iterable[tuple[str, str]]:
    """No values: knows no files, models or seeds."""
    return ()


def list_switch_names() -> tuple[str, ...]:
    """Every name of every switch of a line, in the table's order."""
    return tuple(name for flag in FLAGS.values() for name in flag.names)


def find_switch(name: str) -> Flag | None:
    """The row of `Request` for a typed switch (`-s50`, `--cfg-scale=7`); None if there is none."""
    match = _find(name)
    return match.known.flag if match and match.known.table is Request else None


def complete(line: str, cursor: int, values: Values = complete_nothing) -> list[Suggestion]:
    """Completions at the cursor: names of switches, or their values; inside the prompt, whole
    prompts, or the half-typed word."""
    typed = line[:cursor]
    start = parse_log_line(typed).start
    parts = split_line(typed, start)
    if parts.comment < len(typed) or (typed.startswith("!", start) and not parts.fixes):
        return []
    cut = _cut(typed, parts)
    if cut is None:
        return list(_in_prompt(typed, parts, values))
    done, at = cut
    text = typed[at:]
    if text.startswith("-"):
        return list(_from_dash(text, at, cursor, values))
    if flag := _find_incomplete_switch(done, more=bool(text)):
        return list(_values(flag, text, cursor, values, quote_separate_value))
    return [] if text else list(_switches("", at))


def _cut(typed: str, parts: Parts) -> tuple[Sequence[Word], int] | None:
    """The complete words, and where the half-typed one begins; None if there is no completion."""
    words = parts.switches
    if parts.prompt and has_unclosed_quote(typed, parts.prompt):
        return None
    for index, word in enumerate(words):
        if not word.quoted and _OPEN_QUOTE.match(typed, word.start):
            return words[:index], word.start
    if words and words[-1].end == len(typed):
        return None if words[-1].quoted else (words[:-1], words[-1].start)
    if not words and (dash := _DASH.search(typed)):
        return (), dash.start()
    if words or (parts.prompt and parts.prompt.quoted and parts.prompt.end < len(typed)):
        return words, len(typed)
    return None


def _in_prompt(typed: str, parts: Parts, values: Values) -> Iterator[Suggestion]:
    if parts.prompt is None or parts.switches or parts.fixes:
        return
    start = parts.prompt.start
    if parts.prompt.quoted and parts.prompt.end < len(typed):
        return
    if half := _HALF_NAME.search(typed, start):
        yield from _names(half, values)
        return
    if parts.prompt.quoted:
        return
    if not typed.startswith('"', start):
        for prompt, meta in values("prompt", typed[start:]):
            yield Suggestion(_as_prompt(prompt), start, prompt, meta)
    if half := _HALF_WORD.search(typed, start):
        for word, meta in values("word", half[0]):
            yield Suggestion(word, half.start(), word, meta)


def _names(half: re.Match[str], values: Values) -> Iterator[Suggestion]:
    """Names of wildcards, networks and embeddings; of LoRAs also with their trigger words."""
    kind = next(kind for kind in _WRITTEN if half[kind])
    for name, meta in values(_CALLED.get(kind, kind), half["name"]):
        text = _WRITTEN[kind].format(name)
        yield Suggestion(text, half.start(), text, meta)
        if meta and kind in ("lora", "call"):
            yield Suggestion(f"{text} {meta}", half.start(), f"{text} {meta}", "with its triggers")


def _as_prompt(text: str) -> str:
    """A prompt, in quotes only if it would be read differently without."""
    try:
        return text if parse_line(text).prompt == text else quote(text)
    except BadLine:
        return quote(text)


def _find_incomplete_switch(done: Sequence[Word], *, more: bool) -> Flag | None:
    """The switch that still needs a value; with `more`, one that can take another."""
    last = max((index for index, word in enumerate(done) if word.switch), default=None)
    if last is None or not (found := _find(done[last].text)) or found.known.undo:
        return None
    has = len(done) - 1 - last + (found.value is not None)
    return found.known.flag if has < found.known.flag.kind.nargs[more] else None


def _from_dash(text: str, at: int, cursor: int, values: Values) -> Iterator[Suggestion]:
    match = _find(text)
    if match and not match.known.undo:
        flag = match.known.flag
        if match.value is not None:
            yield from _values(flag, match.value, cursor, values, quote_value)
        elif text in flag.names and not text.startswith("--") and flag.kind.nargs[0]:
            yield from _values(flag, "", cursor, values, quote_value)
    yield from _switches(text, at)


def _switches(typed: str, start: int) -> Iterator[Suggestion]:
    undoing = "--no-" if typed.startswith("--no") else ""
    wanted = typed.replace("_", "-")
    for flag in FLAGS.values():
        names = [undoing + flag.long_name] if undoing else flag.names
        for name in names:
            if name.replace("_", "-").startswith(wanted):
                metavar = "" if undoing else flag.kind.metavar
                yield Suggestion(name, start, f"{name} {metavar}".rstrip(), flag.help)
                break


def _values(
    flag: Flag, typed: str, cursor: int, values: Values, spell: Callable[[str], str]
) -> Iterator[Suggestion]:
    if flag.allows_sweep:
        typed = typed.rpartition(",")[2]
    start = cursor - len(typed)
    typed = typed.removeprefix('"')
    known = ((name, "") for name in flag.kind.choices if name.startswith(typed))
    for value, meta in known if flag.kind.choices else values(flag.kind.completion, typed):
        yield Suggestion(spell(value), start, value, meta)


def _find(text: str) -> SwitchMatch | None:
    try:
        return match_switch(Word(text, 0, len(text), False, True), LINE)
    except BadLine:
        return None
