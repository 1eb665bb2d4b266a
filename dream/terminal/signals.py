"""Handle signals in the event loop, so that the terminal is restored however a session ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class SessionEnded(Exception):
    """The session was ended by a signal; `status` is the exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"ended with status {status}")
        self.status = status


@contextmanager
def handle_signals(
    loop: asyncio.AbstractEventLoop,
    interrupt: Callable[[], None],
    end: Callable[[SessionEnded], None],
) -> Iterator[None]:
    """Within the block, SIGINT calls `interrupt`; SIGTERM and SIGHUP call `end` with the exit
    status that a shell would report. The previous handlers are restored."""
    if sys.platform == "win32":  # its event loops do not support signals; Ctrl-C arrives as a key
        yield
        return
    ending = (signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, *ending)}
    loop.add_signal_handler(signal.SIGINT, interrupt)
    for number in ending:
        loop.add_signal_handler(number, end, SessionEnded(128 + number))
    try:
        yield
    finally:
        for number, handler in former.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
