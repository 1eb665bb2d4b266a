"""Commands about this session's defaults: what a line means where it does not say."""

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

_ANSWERS: Mapping[str, str] = {"on": "", "true": "", "yes": "", "off": "no-", "false": "no-"}
"""What may follow a switch's name, and what that puts before it."""

_NAME_AND_VALUE = re.compile(r"\s*=\s*|\s+")


def set_default(context: Context, argument: str) -> Events[None]:
    """!set NAME VALUE: a default for the lines to come; without a name, those that were set."""
    studio = context.studio
    if not argument:
        yield TextOutput(lines=tuple(_shown(studio.base, studio.at_start, studio.changed)))
        return
    try:
        base = parse_line(_as_switches(argument), studio.base)
    except BadLine as error:
        raise BadLine(error.message, 0, error.hint) from None
    if base.prompt != studio.base.prompt:
        raise BadLine("a prompt is no setting", 0, "type it as a line of its own")
    told = [name for name in FLAGS if getattr(base, name) != getattr(studio.base, name)]
    for name in told:
        check_default(studio.shelf, base, name)
    studio.base = base
    said = format_fields(base, told)
    yield Note(text=f"from now on {said}" if said else "so it was already")


def unset_default(context: Context, argument: str) -> Events[None]:
    """!unset NAME: the default as it was when the session began."""
    names = [_field(word.text) for word in split_words(argument)]
    if not names:
        raise BadLine("!unset takes the names of settings", 0, "!set shows what was set")
    studio = context.studio
    studio.base = replace(studio.base, **{name: getattr(studio.at_start, name) for name in names})
    told = "; ".join(f"{name}: {_value(studio.base, name)}" for name in names)
    yield Note(text=f"as at the start again: {told}")


def save_defaults(context: Context, argument: str) -> Events[None]:
    """!save_settings: this session's defaults into the dream.toml of the current folder."""
    if argument:
        raise BadLine(f"!save_settings writes {FILE} in the current folder, and takes no value")
    changed, kept = save_settings(context.studio.base)
    for elsewhere in find_outside_settings((CliOptions(), Request()), find_settings_files()):
        with suppress(OSError):
            allow(elsewhere)  # it was just chosen here
    said = ", ".join(changed) if changed else "nothing new"
    yield Note(text=f"{FILE}: {said}")
    if kept:
        yield Note(text=f"another {FILE} still sets {', '.join(kept)}; take it out there")


def _as_switches(argument: str) -> str:
    """`steps 30` and `steps = 30` as `--steps=30`; what begins with a dash is switches
    already."""
    if argument.startswith("-"):
        return argument
    name, value = (part.strip() for part in _NAME_AND_VALUE.split(f"{argument} ", maxsplit=1))
    flag = find_switch(f"--{name}")
    if flag is not None and flag.kind is BOOLEAN_FLAG and value.casefold() in _ANSWERS:
        return f"--{_ANSWERS[value.casefold()]}{flag.long_name}"
    if flag is not None and value and flag.kind.nargs[1] == 1:
        said = tuple(split_words(value))  # words without quotes are one value
        value = said[0].text if len(said) == 1 else value
        return f"--{flag.long_name}={quote(value)}"
    return f"--{argument}"


def _field(name: str) -> str:
    bare = name.lstrip("-")
    flag = find_switch(name) or find_switch(f"--{bare}")
    if flag is None:
        meant = find_near(bare.replace("-", "_"), FLAGS)
        raise BadLine(f"“{name}” is no setting", 0, f"did you mean {meant}?" if meant else "")
    return next(field for field, row in FLAGS.items() if row is flag)


def _shown(base: Request, start: Request, changed: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not changed:
        return [("", "nothing is set in this session; !set steps 30 is for all lines that follow")]
    return [(name, f"{_value(base, name)}  (was {_value(start, name)})") for name in changed]


def _value(request: Request, name: str) -> str:
    flag: Flag = FLAGS[name]
    value = getattr(request, name)
    if flag.kind is BOOLEAN_FLAG:
        return "on" if value else "off"
    return " ".join(flag.kind.write(value)) or "on" if value not in (None, "") else "open"
