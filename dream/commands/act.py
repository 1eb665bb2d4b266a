"""A typed line, done: a command by its row of the table, anything else by the studio."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from dream.commands.base import Command, Context
from dream.errors import BadLine, DreamError
from dream.events import Events, Refused
from dream.line import is_skipped

HELP_WORDS = ("-h", "--help", "help", "?")
"""Typed alone these ask for help; in quotes they are prompts."""

RECALL = "!NN"
"""The name of the row that stands for !1, !2, …"""


def act(context: Context, line: str) -> Events[None]:
    """Do what a line says and tell what happens. Raises no DreamError."""
    typed = line.strip()
    if is_skipped(typed):
        return
    if typed in HELP_WORDS:
        typed = "!help"
    if not is_command(typed):
        yield from context.studio.make(line)
        return
    name, _, argument = typed.partition(" ")
    try:
        command = find(context.commands, name)
        if command.name == RECALL:
            argument = name[1:]
        yield from command.run(context, argument.strip())
    except DreamError as error:
        yield Refused(error=error, line=line)


def is_command(typed: str) -> bool:
    """Whether a line is for a command; `!dream …` is a picture's, as it always was."""
    name = typed.partition(" ")[0]
    return name.startswith("!") and name != "!dream"


def find(commands: Collection[Command], name: str) -> Command:
    """The row of that name; `!17` is the row of !NN. Raises BadLine with near names."""
    table = {command.name: command for command in commands}
    if name[1:2].isdigit() and RECALL in table:
        return table[RECALL]
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else "!help lists them; quotes make it a prompt"
    raise BadLine(f"“{name}” is not a command", 1, hint)
