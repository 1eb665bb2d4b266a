"""Offer the unfinished lines of earlier sessions at the start."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from dream.commands import is_command
from dream.queue import QueueFile
from dream.terminal.history_file import LEAVE
from dream.terminal.questions import ask_for_key
from dream.terminal.screen import Screen
from dream.terminal.signals import SessionEnded

_DISCARD = "discard"
"""The answer that deletes the lines: a whole word, because one key is easily pressed by mistake."""

_MAX_SHOWN = 5
"""How many lines are shown, besides those that name another output folder."""
_OUTDIR_SWITCH = re.compile(r"(?<!\S)-(o|-out)", re.IGNORECASE)


async def offer(
    queue_file: QueueFile, screen: Screen, make_room: Callable[[], Awaitable[None]]
) -> Sequence[str]:
    """Return the lines to run now, if any; `queue_file` holds them. The others stay for a later
    session unless they are discarded. Raises SessionEnded if the session ends meanwhile."""
    while left := queue_file.read_abandoned():
        await make_room()
        left = tuple(line for line in left if line.strip() not in LEAVE)  # it was pasted
        if not left:
            queue_file.write(())
            queue_file.close()
            continue
        lines = [line for line in left if not is_command(line.strip())]
        answer = await _ask_about_lines(screen, lines, [line for line in left if line not in lines])
        if answer == "y":
            return lines
        count = "1 line" if len(left) == 1 else f"{len(left)} lines"
        if answer == _DISCARD:
            queue_file.write(())
            queue_file.close()
            screen.say(f"{count} discarded")
        else:
            queue_file.leave()
            screen.say(f"{count} kept for the next session here")
        if answer is None:
            break
    return ()


async def _ask_about_lines(
    screen: Screen, left: Sequence[str], commands: Sequence[str]
) -> str | None:
    """Ask what to do with the lines that make images. Commands among them are shown but not run,
    because somebody else may have written them into the folder."""
    for line in [
        line for n, line in enumerate(left) if n < _MAX_SHOWN or _OUTDIR_SWITCH.search(line)
    ]:
        screen.say(f"  {line}")
    for line in commands:
        screen.say(f"  not run again because it is a command: {line}")
    if not left:
        answer = await _ask("Commands were waiting when dream ended. Discard them? n: keep")
        return _DISCARD if answer == "y" else answer
    count = f"{len(left)} lines" if len(left) > 1 else "1 line"
    question = f"{count} unfinished when dream ended. Run now? n: later"
    return await _ask(question)


async def _ask(question: str) -> str | None:
    try:
        return await ask_for_key(question, "yn", {"yes": "y", "no": "n", _DISCARD: _DISCARD})
    except EOFError:
        raise SessionEnded(0) from None  # the lines stay in the queue file
