"""A typed line, done: a command by its row of the table, anything else by the studio."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from dream.commands.command import Command, Context, InsertText, Question, Questions
from dream.core.errors import BadLine, DreamError, InputError
from dream.core.events import Events, Note, Rejected
from dream.line import behind_prefix, is_skipped, parse_log_line
from dream.line.slash_commands import translate_slash_command
from dream.line.switch_names import find_near
from dream.line.words import split_line
from dream.session import extent, report_crashes

HELP_WORDS = ("-h", "--help", "help", "?")
"""Typed alone these ask for help; in quotes they are prompts."""

_OF_PICTURES = ("!dream", "!fix")

RECALL = "!NN"
"""The name of the row that stands for !1, !2, …"""

LARGE_BATCH = 100
"""Pictures of one line that are made without asking."""


def run_line(context: Context, line: str, turn: bool | None = None) -> Events[None]:
    """Do what a line says and tell what happens. Raises no Exception: one that nobody foresaw is
    told as Failed, with the file that its traceback is in.

    `turn` is what `takes_turn` decided, for defaults and models change meanwhile: what took its
    turn is not asked about again, and what did not makes no picture; if it could by now, it is
    queued. None where nothing takes turns.
    """
    yield from report_crashes(_act(context, line, turn), line, None)


def _act(context: Context, line: str, turn: bool | None) -> Events[None]:
    typed = without_prefix(line)
    if is_skipped(typed):
        return
    if typed in HELP_WORDS:
        typed = "!help"
    if not is_command(typed):
        if turn or not (yield from confirm_large_batch(context, line)):
            yield from _make_or_queue(context, line, turn)
        return
    name, _, argument = typed.partition(" ")
    try:
        command = find_command(context.commands, name)
        if command.name == RECALL:
            argument = name[1:]
        if command.changes and context.studio.dry_run:
            raise BadLine(f"{command.name} is not done: --dry_run changes nothing")
        yield from command.run(context, argument.strip())
    except DreamError as error:
        yield Rejected(error=error, line=line)


def _make_or_queue(context: Context, line: str, turn: bool | None) -> Events[None]:
    if turn is not False or context.queue is None:
        yield from context.studio.make(line)
        return
    try:
        context.studio.parse_sweep(line)
        context.queue.put([line])
    except DreamError as error:
        yield Rejected(error=error, line=line)


def is_queued(context: Context, line: str) -> bool:
    """Whether a line waits for those before it. One that only looks something up, or that will be
    refused or asked about, is done at once. One that cannot be judged, for a reason that nobody
    foresaw, waits: the thread that makes the lines reports it."""
    typed = without_prefix(line)
    if is_skipped(typed) or typed in HELP_WORDS:
        return False
    try:
        if is_command(typed):
            name, _, argument = typed.partition(" ")
            return find_command(context.commands, name).queued and bool(argument.strip())
        asked_for = extent(context.studio, line)
    except InputError:
        return True  # the lines before it may make the pictures of its folder
    except DreamError:
        return False
    except Exception:
        return True
    return asked_for.count <= LARGE_BATCH or asked_for.yes


def get_questions(context: Context, line: str) -> Questions:
    """What the person who entered a line is asked before it is done; mostly nothing, and then the
    result is the line itself. What is wrong with it is said when it is done."""
    typed = without_prefix(line)
    name, _, argument = typed.partition(" ")
    with suppress(Exception):
        if is_skipped(typed) or typed in HELP_WORDS:
            return (line,)
        if not is_command(name):
            return (yield from _ask_about_many(context, line))
        if asks := find_command(context.commands, name).questions:
            return (yield from asks(context, argument.strip()))
    return (line,)


def _ask_about_many(context: Context, line: str) -> Questions:
    """Whether to make so many pictures. Raises BadLine, InputError."""
    asked_for = extent(context.studio, line)
    if asked_for.count <= LARGE_BATCH or asked_for.yes:
        return (line,)
    if (yield Question(f"{asked_for.text}: make them?", keys="yn")) != "y":
        return ()
    return (_with_yes(line),)


def confirm_large_batch(context: Context, line: str) -> Events[bool]:
    """Whether a line asks for so many pictures that its person should say so twice. Then, where
    nobody was asked, their count is told, and the line put back with the switch that says it."""
    try:
        asked_for = extent(context.studio, line)
    except DreamError:
        return False  # what is wrong is said by whoever makes it
    if asked_for.count <= LARGE_BATCH or asked_for.yes:
        return False
    yield Note(text=f"{asked_for.text}; Enter makes them")
    yield InsertText(text=_with_yes(line))
    return True


def _with_yes(line: str) -> str:
    end = split_line(line, parse_log_line(line).start).comment
    return f"{line[:end].rstrip()} --yes"


def without_prefix(line: str) -> str:
    """A typed line without the spaces around it; and without `dream> ` and the like where a
    command was copied from a screen. In a line that makes pictures they are left to its reader.
    A slash command is the `!` command that it means."""
    typed = translate_slash_command(line.strip())
    command = typed[behind_prefix(typed) :]
    return command if command.startswith("!") else typed


def is_command(typed: str) -> bool:
    """Whether a line is for a command; `!dream …` and `!fix …` are a picture's, as any line."""
    name = without_prefix(typed).partition(" ")[0]
    return name.startswith("!") and name not in _OF_PICTURES


def find_command(commands: Collection[Command], name: str) -> Command:
    """The row of that name; `!17` is the row of !NN. Raises BadLine with near names."""
    table = {command.name: command for command in commands}
    if name[1:2].isdigit() and RECALL in table:
        return table[RECALL]
    if name in table:
        return table[name]
    meant = find_near(name, table)
    hint = f"did you mean {meant}?" if meant else "!help lists them; quotes make it a prompt"
    raise BadLine(f"“{name}” is not a command", 1, hint)
