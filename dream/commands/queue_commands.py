"""Commands about the queue, lines that were entered and wait for their turn, and the worker that
makes them."""

from __future__ import annotations

from dream.commands.command import Context, Line, TextOutput
from dream.core.errors import BadLine
from dream.core.events import Events, Note
from dream.core.messages import count_lines
from dream.queue import LineQueue, QueuedLine

_SHOWN = 20
"""Waiting lines shown at once."""


def list_queue(context: Context, argument: str) -> Events[None]:
    """!queue: the line being made and those that wait."""
    queue = _queue(context)
    waiting = queue.waiting
    page: list[Line] = [_row(entry, "now") for entry in [queue.current] if entry]
    page += [_row(entry, "") for entry in waiting[:_SHOWN]]
    if len(waiting) > _SHOWN:
        page.append(f"           … and {len(waiting) - _SHOWN} more")
    if queue.paused:
        page.append("paused; !resume goes on")
    yield TextOutput(lines=tuple(page) or ("nothing waits",))


def cancel_line(context: Context, argument: str) -> Events[None]:
    """!cancel [N|all]: give up the line being made, line N of the queue, or all."""
    queue = _queue(context)
    if argument == "all":
        count = queue.cancel_all()
        if count or queue.current is None:
            yield Note(text=f"{count_lines(count)} given up")
    elif argument:
        entry = queue.cancel(_number(argument, "!cancel takes a line's number or all, not"))
        if entry != queue.current:
            yield Note(text=f"given up: {entry.line}")
    elif queue.cancel_current() is None:
        yield Note(text="nothing is being made")


def move_to_front(context: Context, argument: str) -> Events[None]:
    """!next N: line N of the queue comes next."""
    entry = _queue(context).move_to_front(_number(argument, "!next takes a line's number, not"))
    yield Note(text=f"next: {entry.line}")


def pause_queue(context: Context, argument: str) -> Events[None]:
    """!pause: begin no further line; the one being made goes on."""
    queue = _queue(context)
    queue.pause()
    yield Note(text="paused; what is being made goes on, !resume begins the next")


def resume_queue(context: Context, argument: str) -> Events[None]:
    """!resume: go on with the waiting lines."""
    queue = _queue(context)
    queue.resume()
    yield Note(text=f"going on; {count_lines(len(queue.waiting))} in the queue")


def restart(context: Context, argument: str) -> Events[None]:
    """!restart: end the worker process, with the models in it. The line being made begins again
    with a fresh one."""
    context.studio.engine.restart()
    yield Note(text="the worker is ended; the next picture gets a fresh one")


def _queue(context: Context) -> LineQueue:
    if context.queue is None:
        raise BadLine("there is no queue here: each line is made when it is entered")
    return context.queue


def _row(entry: QueuedLine, when: str) -> str:
    return f"  {when:3}{entry.number:5}  {entry.line}"


def _number(argument: str, otherwise: str) -> int:
    if not (argument.isascii() and argument.isdigit() and len(argument) < 10):
        raise BadLine(f"{otherwise} “{argument}”", 0, "!queue shows them")
    return int(argument)
