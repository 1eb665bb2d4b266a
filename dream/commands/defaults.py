"""Commands that list, set and save the session's defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dream.commands.command import Context, TextOutput
from dream.config.settings_file import FILE, find_settings_files, save_settings
from dream.config.trust import allow, find_outside_settings
from dream.core.cli_options import CliOptions
from dream.core.errors import BadLine
from dream.core.events import Events, Note
from dream.core.request import FLAGS, Flag, Request
from dream.line import format_fields, parse_line, quote, split_words
from dream.line.complete import find_switch
from dream.line.switch_names import find_near
from dream.options.option_type import BOOLEAN_FLAG
from dream.session import check_default

_BOOLEAN_PREFIXES: Mapping[str, str] = {
    "on": "",
    "true": "",
    "yes": "",
    "off": "no-",
    "false": "no-",
}
"""Values of a boolean switch, and the prefix each adds to its name."""

_NAME_AND_VALUE = re.compile(r"\s*=\s*|\s+")


def set_default(context: Context, argument: str) -> Events[None]:
    """!set NAME VALUE: set a default for the following lines; without a name, list those set."""
    session = context.session
    if not argument:
        yield TextOutput(
            lines=tuple(_format_changes(session.base, session.at_start, session.changed))
        )
        return
    base = read_default(argument, session.base)
    changed = [name for name in FLAGS if getattr(base, name) != getattr(session.base, name)]
    for name in changed:
        check_default(session.registry, base, name)
    session.base = base
    switches = format_fields(base, changed)
    yield Note(
        text=f"default is now {switches}" if switches else "unchanged: this is already the default"
    )


def read_default(argument: str, base: Request) -> Request:
    """The defaults with what `!set` is given. Raises BadLine."""
    try:
        changed = parse_line(_as_switches(argument), base)
    except BadLine as error:
        raise BadLine(error.message, 0, error.hint) from None
    if changed.prompt != base.prompt:
        raise BadLine("a prompt is not a setting", 0, "enter it as a line of its own")
    return changed


def unset_default(context: Context, argument: str) -> Events[None]:
    """!unset NAME: restore the default from the start of the session."""
    names = [_get_field_name(word.text) for word in split_words(argument)]
    if not names:
        raise BadLine("!unset needs the name of a setting", 0, "!set lists what was set")
    session = context.session
    session.base = replace(
        session.base, **{name: getattr(session.at_start, name) for name in names}
    )
    restored = "; ".join(f"{name}: {_format_value(session.base, name)}" for name in names)
    yield Note(text=f"restored: {restored}")


def save_defaults(context: Context, argument: str) -> Events[None]:
    """!save_settings: write the session's defaults to the dream.toml of the current folder."""
    if argument:
        raise BadLine(f"!save_settings takes no value; it writes {FILE} in the current folder")
    changed, unsaved = save_settings(context.session.base)
    for outside in find_outside_settings((CliOptions(), Request()), find_settings_files()):
        with suppress(OSError):
            allow(outside)  # the user has just set it here
    yield Note(text=f"{FILE}: {', '.join(changed) if changed else 'no changes'}")
    if unsaved:
        yield Note(text=f"another {FILE} still sets {', '.join(unsaved)}; remove it there")


def _as_switches(argument: str) -> str:
    """Turn `steps 30` and `steps = 30` into `--steps=30`; text with a leading dash stays as it
    is."""
    if argument.startswith("-"):
        return argument
    name, value = (part.strip() for part in _NAME_AND_VALUE.split(f"{argument} ", maxsplit=1))
    flag = find_switch(f"--{name}")
    if flag is not None and flag.kind is BOOLEAN_FLAG and value.casefold() in _BOOLEAN_PREFIXES:
        return f"--{_BOOLEAN_PREFIXES[value.casefold()]}{flag.long_name}"
    if flag is not None and value and flag.kind.nargs[1] == 1:
        words = tuple(split_words(value))  # words without quotes are one value
        value = words[0].text if len(words) == 1 else value
        return f"--{flag.long_name}={quote(value)}"
    return f"--{argument}"


def _get_field_name(name: str) -> str:
    bare = name.lstrip("-")
    flag = find_switch(name) or find_switch(f"--{bare}")
    if flag is None:
        near = find_near(bare.replace("-", "_"), FLAGS)
        raise BadLine(f"“{name}” is not a setting", 0, f"did you mean {near}?" if near else "")
    return next(field for field, row in FLAGS.items() if row is flag)


def _format_changes(
    base: Request, start: Request, changed: Mapping[str, Any]
) -> list[tuple[str, str]]:
    if not changed:
        return [
            ("", "nothing was set in this session; !set steps 30 applies to all following lines")
        ]
    return [
        (name, f"{_format_value(base, name)}  (was {_format_value(start, name)})")
        for name in changed
    ]


def _format_value(request: Request, name: str) -> str:
    flag: Flag = FLAGS[name]
    value = getattr(request, name)
    if flag.kind is BOOLEAN_FLAG:
        return "on" if value else "off"
    return " ".join(flag.kind.write(value)) or "on" if value not in (None, "") else "not set"
