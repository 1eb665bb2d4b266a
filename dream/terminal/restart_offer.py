"""The lines that sessions before this one left, offered when one begins."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from dream.commands import is_command
from dream.queue import QueueFile
from dream.terminal.questions import ask_for_key
from dream.terminal.screen import Screen
from dream.terminal.signals import SessionEnded

_DISCARD = "discard"
"""The answer that forgets the lines: a whole word, for one key is soon pressed."""

_SHOWN = 5
"""Lines that are shown, besides those that name a folder of their own."""
_ELSEWHERE = re.compile(r"(?<!\S)-(o|-out)", re.IGNORECASE)


async def offer(
    kept: QueueFile, screen: Screen, make_room: Callable[[], Awaitable[None]]
) -> Sequence[str]:
    """The lines to make now, if any; `kept` holds them. All others stay for a later session,
    unless they are discarded. Raises Ended when the session ends meanwhile."""
    while left := kept.read_abandoned():
        await make_room()
        lines = [line for line in left if not is_command(line.strip())]
        answer = await _answer(screen, lines, [line for line in left if line not in lines])
        if answer == "y":
            return lines
        count = "1 line" if len(left) == 1 else f"{len(left)} lines"
        if answer == _DISCARD:
            kept.write(())
            kept.close()
            screen.say(f"{count} discarded")
        else:
            kept.leave()
            screen.say(f"{count} kept for the next session here")
        if answer is None:
            break
    return ()


async def _answer(screen: Screen, left: Sequence[str], commands: Sequence[str]) -> str | None:
    """What is to become of the lines that make pictures. The commands among them are shown, and not
    done: whoever made the folder may have written them."""
    for line in [line for n, line in enumerate(left) if n < _SHOWN or _ELSEWHERE.search(line)]:
        screen.say(f"  {line}")
    for line in commands:
        screen.say(f"  not done again, for it is a command: {line}")
    if not left:
        answer = await _ask("commands were left when dream ended: discard them? n: keep")
        return _DISCARD if answer == "y" else answer
    more = f", of {len(left)} lines" if len(left) > _SHOWN else ""
    question = f"not made when dream ended{more}: make now? n: later"
    return await _ask(question)


async def _ask(question: str) -> str | None:
    try:
        return await ask_for_key(question, "yn", {"yes": "y", "no": "n", _DISCARD: _DISCARD})
    except EOFError:
        raise SessionEnded(0) from None  # they stay where they are
