"""Parses the command line: launch options, defaults of every line, and optionally a prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from dream.core.cli_options import CLI_FLAGS, CliOptions
from dream.core.errors import BadLine, BadSetting
from dream.core.request import FLAGS, Request
from dream.line.legacy_switches import LegacySwitches
from dream.line.switch_names import SHELL, excerpt, find_near
from dream.line.switches import ParsedSwitch, parse_switch
from dream.line.value_lists import ValueList
from dream.line.words import SWITCH_LIKE, Word, quote, quote_value
from dream.options.option_type import BOOLEAN_FLAG, Flag

_SETTINGS: Mapping[str, Flag] = MappingProxyType({**CLI_FLAGS, **FLAGS})
_LOGGED = re.compile(r".+\.(?:png|jpe?g|webp):", re.IGNORECASE)
"""The first argument of a line pasted from a log."""
_DEFAULT_HINT = "put -- before a prompt that begins with a dash"


def parse_argv(
    argv: Sequence[str],
    launch: CliOptions = CliOptions(),  # noqa: B008 - frozen
    base: Request = Request(),  # noqa: B008 - frozen
) -> tuple[CliOptions, Request, str | None]:
    """The launch options, the defaults of every line, and the line to run, if there is one.

    `launch` and `base` are the settings of dream.toml. Switches may be before and after the words
    of the prompt; after `--` everything is prompt. An argument with spaces was quoted in the shell:
    if it is the whole prompt, it is a line as typed at the prompt, with switches; next to other
    words it is text, unless it is `--name=a value`. Lists of values become part of the line, since
    a default has one value.

    Raises BadSetting.
    """
    cut = argv.index("--") if "--" in argv else len(argv)
    words = [_word(text) for text in argv[:cut]]
    tables: dict[type[Any], dict[str, Any]] = {CliOptions: {}, Request: {}}
    prompt: list[str] = []
    lists: dict[str, str] = {}
    at = 0
    while at < len(words):
        if not words[at].switch:
            prompt.append(words[at].text)
            at += 1
            continue
        try:
            parsed = parse_switch(
                words, at, SHELL, otherwise=_DEFAULT_HINT, text_follows=True, sweeps=True
            )
        except BadLine as error:
            raise BadSetting(error.message, error.hint) from None
        lists.pop(parsed.known.field, None)
        if isinstance(parsed.value, ValueList):
            items = (parsed.known.flag.kind.write(value)[0] for value in parsed.value.values)
            lists[parsed.known.field] = f"{parsed.known.flag.names[0]} {','.join(items)}"
        elif setting := _setting(parsed):
            table, field, value = setting
            former = tables[table].get(field)
            repeated = former is not None and parsed.known.flag.kind.repeats
            tables[table][field] = f"{former},{value}" if repeated else value
        at = parsed.next
    is_line = len(prompt) == 1 and not argv[cut + 1 :] and " " in prompt[0]
    prompt += argv[cut + 1 :]
    fields = tables[Request]
    text = " ".join(prompt) or fields.pop("prompt", "")
    if lists and not text:
        raise BadSetting(
            f"{next(iter(lists.values()))} needs a prompt: a default cannot be a list of values"
        )
    return (
        replace(launch, **tables[CliOptions]),
        replace(base, **fields),
        " ".join([text if is_line else quote(text), *lists.values()]) if text else None,
    )


def find_command_line(argv: Sequence[str]) -> tuple[Sequence[str], str | None]:
    """The arguments before a `!` command, and the command's line if there is one: it begins where a
    prompt would begin with a word such as `!models`."""
    for at, word in enumerate(argv):
        if word == "--":
            break
        if word.startswith("!") and not _is_begun(argv[:at]):
            return argv[:at], " ".join([word, *map(quote_value, argv[at + 1 :])])
    return argv, None


def logged_of(argv: Sequence[str]) -> tuple[Sequence[str], str | None]:
    """The arguments before a line pasted from a log, and that line if there is one: an image's path
    with a colon, the prompt, switches. The shell has removed its quotes; they are added again."""
    for at, word in enumerate(argv[:-1]):
        if word == "--":
            break
        if _LOGGED.fullmatch(word) and not _is_begun(argv[:at]):
            rest = list(argv[at + 1 :])
            if "#" in rest:  # some shells pass the comment on
                rest = rest[: rest.index("#")]
            cut = next((n for n, part in enumerate(rest) if SWITCH_LIKE.match(part)), len(rest))
            line = [word, quote(" ".join(rest[:cut])), *map(_quote_again, rest[cut:])]
            return argv[:at], " ".join(line)
    return argv, None


def _quote_again(word: str) -> str:
    """Quote a switch or a value whose quotes the shell has removed."""
    if not SWITCH_LIKE.match(word):
        return quote_value(word)
    name, equals, value = word.partition("=")
    return f"{name}={quote_value(value)}" if equals else word


def _is_begun(argv: Sequence[str]) -> bool:
    """Whether a prompt has begun, or an option needs a value."""
    try:
        return parse_argv(argv)[2] is not None
    except BadSetting:
        return True


def parse_setting(name: str, value: object) -> tuple[str, Any]:
    """The field of `CliOptions` or `Request`, and its value, for a key and value of dream.toml.

    Raises BadSetting, which names what is allowed; the caller adds file and key.
    """
    field = find_setting(name)
    kind = _SETTINGS[field].kind
    if kind is BOOLEAN_FLAG:
        if isinstance(value, bool):
            return field, value
        raise BadSetting(f"{name} must be true or false, not {value!r}")
    if isinstance(value, bool) and kind.nargs[0] == 0:
        return field, kind.read([]) if value else _SETTINGS[field].default
    parts = value if isinstance(value, list) else [value]
    words = [str(part) for part in parts]
    if kind.repeats and isinstance(value, list) and words:
        words = [",".join(words)]
    if kind.nargs[1] > 1 and isinstance(value, str):
        words = value.replace(",", " ").split()
    if all(map(_is_plain, parts)) and kind.nargs[0] <= len(words) <= kind.nargs[1]:
        with suppress(ValueError):
            read = kind.read(words)
            # A number instead of a name was most likely meant for another key.
            if not isinstance(read, str) or all(isinstance(part, str) for part in parts):
                return field, read
    suggestion = find_near(words[0], kind.choices) if words else ""
    hint = f"did you mean {suggestion}?" if suggestion else ""
    raise BadSetting(f"{name} takes {kind.expects}, not {value!r}", hint)


def find_setting(name: str) -> str:
    """The field of `CliOptions` or `Request` for a key of dream.toml. Raises BadSetting."""
    key = name.replace("-", "_")
    for field, flag in _SETTINGS.items():
        if key == field or f"--{key}" in flag.names:
            return field
    suggestion = find_near(key, _SETTINGS)
    raise BadSetting(
        f"“{excerpt(name)}” is not a setting", f"did you mean {suggestion}?" if suggestion else ""
    )


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _word(text: str) -> Word:
    switch = SWITCH_LIKE.match(text) is not None
    if switch and any(map(str.isspace, text.partition("=")[0])):
        if text[2:3] and not text[1:].startswith("-") and text[:2] in SHELL[0]:
            # -o"my pictures" or "-old men in boats": the same after the shell's quoting.
            raise BadSetting(
                f"“{excerpt(text)}” is ambiguous: a prompt, or {text[:2]} and its value",
                _DEFAULT_HINT,
            )
        switch = False
    return Word(text, 0, len(text), True, switch)


def _setting(parsed: ParsedSwitch) -> tuple[type[Any], str, Any] | None:
    """Table, field and value of an option. InvokeAI's old ones are translated, ignored if they
    change nothing, or rejected."""
    known, value = parsed.known, parsed.value
    if known.table is not LegacySwitches:
        return known.table, known.field, value
    if known.field == "full_precision" and not known.undo:
        return CliOptions, "precision", "float32"
    if known.undo or value == known.flag.default:
        return None
    raise BadSetting(f"{parsed.name} ({known.flag.help}) is not supported")
