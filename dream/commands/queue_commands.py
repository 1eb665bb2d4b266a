"""Commands that control the queue of waiting lines and the worker process."""

from __future__ import annotations

from dream.commands.command import Command, Context, Line, TextOutput
from dream.core.errors import BadLine
from dream.core.events import Events, Note
from dream.core.messages import count_lines
from dream.queue import LineQueue, QueuedLine

_SHOWN = 20
"""Waiting lines shown at once."""


def list_queue(context: Context, argument: str) -> Events[None]:
    """!queue: list the current line and the waiting lines."""
    queue = _get_queue(context)
    waiting = queue.waiting
    page: list[Line] = [_format_entry(entry, "now") for entry in queue.running]
    page += [_format_entry(entry, "") for entry in waiting[:_SHOWN]]
    if more := queue.count_waiting - len(waiting[:_SHOWN]):
        page.append(f"           … and {more} more")
    if queue.paused:
        page.append("paused; !resume continues")
    yield TextOutput(lines=tuple(page) or ("the queue is empty",))


def cancel_line(context: Context, argument: str) -> Events[None]:
    """!cancel [N|all]: cancel the lines that are running, line N of the queue, or all lines."""
    queue = _get_queue(context)
    if argument == "all":
        count = queue.cancel_all()
        if count or queue.current is None:
            yield Note(text=f"cancelled {count_lines(count)}")
    elif argument:
        entry = queue.cancel(
            _parse_number(argument, "!cancel takes the number of a line or all, not")
        )
        if entry not in queue.running:
            yield Note(text=f"cancelled: {entry.line}")
    elif queue.cancel_current() is None:
        yield Note(text="no line is running")


def move_to_front(context: Context, argument: str) -> Events[None]:
    """!next N: move line N to the front of the queue."""
    entry = _get_queue(context).move_to_front(
        _parse_number(argument, "!next takes the number of a line, not")
    )
    yield Note(text=f"next: {entry.line}")


def pause_queue(context: Context, argument: str) -> Events[None]:
    """!pause: start no further lines; the current one finishes."""
    queue = _get_queue(context)
    queue.pause()
    yield Note(text="paused after the current line; !resume continues")


def resume_queue(context: Context, argument: str) -> Events[None]:
    """!resume: continue with the waiting lines."""
    queue = _get_queue(context)
    queue.resume()
    yield Note(text=f"continuing; {count_lines(queue.count_waiting)} in the queue")


def restart(context: Context, argument: str) -> Events[None]:
    """!restart: stop the worker process and unload its models. The current line starts again in a
    new process."""
    context.session.engine.restart()
    yield Note(text="worker process stopped; the next image starts a new one")


def _get_queue(context: Context) -> LineQueue:
    if context.queue is None:
        raise BadLine("this prompt has no queue: each line runs when it is entered")
    return context.queue


def _format_entry(entry: QueuedLine, when: str) -> str:
    return f"  {when:3}{entry.number:5}  {entry.line}"


def _parse_number(argument: str, message: str) -> int:
    if not (argument.isascii() and argument.isdigit() and len(argument) < 10):
        raise BadLine(f"{message} “{argument}”", 0, "!queue lists them")
    return int(argument)


QUEUE_COMMANDS = (
    Command("!queue", "", "list the current line and the waiting lines", list_queue),
    Command(
        "!cancel",
        "[N|all]",
        "cancel the current line, line N of the queue, or all lines",
        cancel_line,
    ),
    Command("!next", "N", "move line N to the front of the queue", move_to_front),
    Command("!pause", "", "start no further lines; the current one finishes", pause_queue),
    Command("!resume", "", "continue with the waiting lines", resume_queue),
    Command(
        "!restart",
        "",
        "stop the worker process and unload its models; the next image starts a new one",
        restart,
    ),
)
"""Their rows in the table of commands."""
