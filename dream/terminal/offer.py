"""The lines that sessions before this one left, offered when one begins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from dream.queue import KeptLines
from dream.terminal.ask import ask
from dream.terminal.show import Screen
from dream.terminal.signals import Ended

_DISCARD = "discard"
"""The answer that forgets the lines: a whole word, for one key is soon pressed."""

_SHOWN = 5


async def offer(
    kept: KeptLines, screen: Screen, make_room: Callable[[], Awaitable[None]]
) -> Sequence[str]:
    """The lines to make now, if any; `kept` holds them. All others stay for a later session,
    unless they are discarded. Raises Ended when the session ends meanwhile."""
    while left := kept.take_over():
        await make_room()
        answer = await _answer(screen, left)
        if answer == "y":
            return left
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


async def _answer(screen: Screen, left: Sequence[str]) -> str | None:
    for line in left[:_SHOWN]:
        screen.say(f"  {line}")
    more = f", of {len(left)} lines" if len(left) > _SHOWN else ""
    question = f"not made when dream ended{more}: make now? n: later"
    try:
        return await ask(question, "yn", {"yes": "y", "no": "n", _DISCARD: _DISCARD})
    except EOFError:
        raise Ended(0) from None  # they stay where they are
