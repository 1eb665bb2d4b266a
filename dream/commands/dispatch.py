"""Run an entered line: a command by its row of the table, any other line by the session."""

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
"""Typed alone, these show the help; in quotes they are prompts."""

_IMAGE_COMMANDS = ("!dream", "!fix")

RECALL = "!NN"
"""The name of the row for !1, !2, …"""

LARGE_BATCH = 100
"""The number of images that one line may make without a question."""


def run_line(context: Context, line: str, turn: bool | None = None) -> Events[None]:
    """Run a line and yield its events. Raises no Exception: an unexpected one becomes a Failed
    event that names the file with the traceback.

    `turn` is the result of `is_queued`, because defaults and models may change in between: a line
    from the queue asks no question again, and a line outside the queue makes no image; if by now it
    could make one, it is queued. None where there is no queue.
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
        if command.changes and context.session.dry_run:
            raise BadLine(f"{command.name} is not run: --dry_run changes nothing")
        yield from command.run(context, argument.strip())
    except DreamError as error:
        yield Rejected(error=error, line=line)


def _make_or_queue(context: Context, line: str, turn: bool | None) -> Events[None]:
    if turn is not False or context.queue is None:
        yield from context.session.make(line)
        return
    try:
        context.session.parse_sweep(line)
        context.queue.put([line])
    except DreamError as error:
        yield Rejected(error=error, line=line)


def is_queued(context: Context, line: str) -> bool:
    """Whether a line waits in the queue. A line that only shows something, or that will be
    rejected or need an answer, runs at once. A line whose check fails unexpectedly waits: the
    thread that runs the queue reports the error."""
    typed = without_prefix(line)
    if is_skipped(typed) or typed in HELP_WORDS:
        return False
    try:
        if is_command(typed):
            name, _, argument = typed.partition(" ")
            return find_command(context.commands, name).queued and bool(argument.strip())
        batch = extent(context.session, line)
    except InputError:
        return True  # earlier lines may make the images in its folder
    except DreamError:
        return False
    except Exception:
        return True
    return batch.count <= LARGE_BATCH or batch.yes


def get_questions(context: Context, line: str) -> Questions:
    """Ask the user what a line leaves open before it runs; usually nothing, then the result is the
    line itself. Errors in the line are reported when it runs."""
    typed = without_prefix(line)
    name, _, argument = typed.partition(" ")
    with suppress(Exception):
        if is_skipped(typed) or typed in HELP_WORDS:
            return (line,)
        if not is_command(name):
            return (yield from _ask_about_batch(context, line))
        if ask_questions := find_command(context.commands, name).questions:
            return (yield from ask_questions(context, argument.strip()))
    return (line,)


def _ask_about_batch(context: Context, line: str) -> Questions:
    """Ask before a large batch. Raises BadLine, InputError."""
    batch = extent(context.session, line)
    if batch.count <= LARGE_BATCH or batch.yes:
        return (line,)
    if (yield Question(f"{batch.text}: generate them?", keys="yn")) != "y":
        return ()
    return (_with_yes(line),)


def confirm_large_batch(context: Context, line: str) -> Events[bool]:
    """Whether a line makes so many images that the user must confirm. If so, yield their number
    and insert the line again with --yes."""
    try:
        batch = extent(context.session, line)
    except DreamError:
        return False  # the error is reported when the line runs
    if batch.count <= LARGE_BATCH or batch.yes:
        return False
    yield Note(text=f"{batch.text}; press Enter to generate them")
    yield InsertText(text=_with_yes(line))
    return True


def _with_yes(line: str) -> str:
    end = split_line(line, parse_log_line(line).start).comment
    return f"{line[:end].rstrip()} --yes"


def without_prefix(line: str) -> str:
    """Strip the spaces around a line, and a copied prompt such as `dream> ` before a command.
    In other lines the parser handles the copied prompt. A slash command becomes its `!` command."""
    typed = translate_slash_command(line.strip())
    command = typed[behind_prefix(typed) :]
    return command if command.startswith("!") else typed


def is_command(typed: str) -> bool:
    """Whether a line is a command; `!dream …` and `!fix …` make images and are not."""
    name = without_prefix(typed).partition(" ")[0]
    return name.startswith("!") and name not in _IMAGE_COMMANDS


def find_command(commands: Collection[Command], name: str) -> Command:
    """Return the row of that name; `!17` is the row of !NN. Raises BadLine with similar names."""
    table = {command.name: command for command in commands}
    if name[1:2].isdigit() and RECALL in table:
        return table[RECALL]
    if name in table:
        return table[name]
    near = find_near(name, table)
    hint = f"did you mean {near}?" if near else "!help lists all commands; put a prompt in quotes"
    raise BadLine(f"“{name}” is not a command", 1, hint)
