"""The shell's words become launch options, every line's defaults, and perhaps a prompt."""

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
from dream.line.switch_names import SHELL, find_near, shown
from dream.line.switches import ParsedSwitch, parse_switch
from dream.line.value_lists import ValueList
from dream.line.words import SWITCH_LIKE, Word, quote, quote_value
from dream.options.option_type import BOOLEAN_FLAG, Flag

_SETTINGS: Mapping[str, Flag] = MappingProxyType({**CLI_FLAGS, **FLAGS})
_LOGGED = re.compile(r".+\.(?:png|jpe?g|webp):", re.IGNORECASE)
"""The shell's word with which a line of a log begins."""
_DEFAULT_HINT = "put -- before a prompt that begins with a dash"


def parse_argv(
    argv: Sequence[str],
    launch: CliOptions = CliOptions(),  # noqa: B008 - frozen
    base: Request = Request(),  # noqa: B008 - frozen
) -> tuple[CliOptions, Request, str | None]:
    """How this run goes, every line's defaults, and the line of the prompt if there is one.

    `launch` and `base` are what was known before, from dream.toml. Switches may stand before and
    behind the words of the prompt; after `--` all is prompt. A shell's word that holds spaces was
    in quotes there: where it is all there is of the prompt, it is a line as one types it at the
    prompt, switches and all; beside other words it is text, whatever it holds, unless it is
    `--name=a value`. Lists of values go into the line of the prompt, for a default has one value.

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
            taken = parse_switch(
                words, at, SHELL, otherwise=_DEFAULT_HINT, text_follows=True, sweeps=True
            )
        except BadLine as error:
            raise BadSetting(error.message, error.hint) from None
        lists.pop(taken.known.field, None)
        if isinstance(taken.value, ValueList):
            items = (taken.known.flag.kind.write(value)[0] for value in taken.value.values)
            lists[taken.known.field] = f"{taken.known.flag.names[0]} {','.join(items)}"
        elif setting := _setting(taken):
            table, field, value = setting
            tables[table][field] = value
        at = taken.next
    is_line = len(prompt) == 1 and not argv[cut + 1 :] and " " in prompt[0]
    prompt += argv[cut + 1 :]
    said = tables[Request]
    text = " ".join(prompt) or said.pop("prompt", "")
    if lists and not text:
        raise BadSetting(f"{next(iter(lists.values()))} wants a prompt: a default has one value")
    return (
        replace(launch, **tables[CliOptions]),
        replace(base, **said),
        " ".join([text if is_line else quote(text), *lists.values()]) if text else None,
    )


def find_command_line(argv: Sequence[str]) -> tuple[Sequence[str], str | None]:
    """The shell's words before a `!` command, and the line of it if there is one: where a prompt
    would begin with a word such as `!models`, that word and all behind it."""
    for at, word in enumerate(argv):
        if word == "--":
            break
        if word.startswith("!") and not _is_begun(argv[:at]):
            return argv[:at], " ".join([word, *map(quote_value, argv[at + 1 :])])
    return argv, None


def logged_of(argv: Sequence[str]) -> tuple[Sequence[str], str | None]:
    """The shell's words before a line that was pasted from a log, and that line if there is one: a
    picture's path with a colon, the words of the prompt, switches. The shell has taken its quotes
    away; they are put back."""
    for at, word in enumerate(argv[:-1]):
        if word == "--":
            break
        if _LOGGED.fullmatch(word) and not _is_begun(argv[:at]):
            rest = list(argv[at + 1 :])
            if "#" in rest:  # some shells hand the comment over
                rest = rest[: rest.index("#")]
            cut = next((n for n, part in enumerate(rest) if SWITCH_LIKE.match(part)), len(rest))
            line = [word, quote(" ".join(rest[:cut])), *map(_spelt, rest[cut:])]
            return argv[:at], " ".join(line)
    return argv, None


def _spelt(word: str) -> str:
    """A word of a line, a switch or a value, that the shell has taken the quotes from."""
    if not SWITCH_LIKE.match(word):
        return quote_value(word)
    name, equals, value = word.partition("=")
    return f"{name}={quote_value(value)}" if equals else word


def _is_begun(argv: Sequence[str]) -> bool:
    """Whether a prompt has begun, or an option waits for its value."""
    try:
        return parse_argv(argv)[2] is not None
    except BadSetting:
        return True


def parse_setting(name: str, value: object) -> tuple[str, Any]:
    """A key of dream.toml and its value, as a field of `Launch` or `Request` and what to set.

    Raises BadSetting, which says what is allowed; the caller knows file and key.
    """
    field = find_setting(name)
    kind = _SETTINGS[field].kind
    if kind is BOOLEAN_FLAG:
        if isinstance(value, bool):
            return field, value
        raise BadSetting(f"{name} is true or false, not {value!r}")
    if isinstance(value, bool) and kind.nargs[0] == 0:
        return field, kind.read([]) if value else _SETTINGS[field].default
    parts = value if isinstance(value, list) else [value]
    words = [str(part) for part in parts]
    if kind.nargs[1] > 1 and isinstance(value, str):
        words = value.replace(",", " ").split()
    if all(map(_is_plain, parts)) and kind.nargs[0] <= len(words) <= kind.nargs[1]:
        with suppress(ValueError):
            read = kind.read(words)
            # A number in the place of a name is most likely another key's.
            if not isinstance(read, str) or all(isinstance(part, str) for part in parts):
                return field, read
    meant = find_near(words[0], kind.choices) if words else ""
    hint = f"did you mean {meant}?" if meant else ""
    raise BadSetting(f"{name} takes {kind.expects}, not {value!r}", hint)


def find_setting(name: str) -> str:
    """The field of `Launch` or `Request` that a key of dream.toml means. Raises BadSetting."""
    key = name.replace("-", "_")
    for field, flag in _SETTINGS.items():
        if key == field or f"--{key}" in flag.names:
            return field
    meant = find_near(key, _SETTINGS)
    raise BadSetting(f"“{shown(name)}” is no setting", f"did you mean {meant}?" if meant else "")


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _word(text: str) -> Word:
    switch = SWITCH_LIKE.match(text) is not None
    if switch and any(map(str.isspace, text.partition("=")[0])):
        if text[2:3] and not text[1:].startswith("-") and text[:2] in SHELL[0]:
            # -o"my pictures" or "-old men in boats": the shell has taken the difference away.
            raise BadSetting(
                f"“{shown(text)}” may be a prompt, or {text[:2]} and its value", _DEFAULT_HINT
            )
        switch = False
    return Word(text, 0, len(text), True, switch)


def _setting(taken: ParsedSwitch) -> tuple[type[Any], str, Any] | None:
    """Table, field and value of an option. InvokeAI's old ones are translated, dropped where
    they change nothing, or refused."""
    known, value = taken.known, taken.value
    if known.table is not LegacySwitches:
        return known.table, known.field, value
    if known.field == "full_precision" and not known.undo:
        return CliOptions, "precision", "float32"
    if known.undo or value == known.flag.default:
        return None
    raise BadSetting(f"{taken.name} ({known.flag.help}) is not in this version")
