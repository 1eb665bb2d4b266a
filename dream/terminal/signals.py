"""Signals that end a session, or a picture, as events of its loop: so that whatever ends it, the
terminal is given back as it was."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class SessionEnded(Exception):
    """The session ends, with this exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"ended with status {status}")
        self.status = status


@contextmanager
def handle_signals(
    loop: asyncio.AbstractEventLoop,
    interrupt: Callable[[], None],
    end: Callable[[SessionEnded], None],
) -> Iterator[None]:
    """Until the block ends, SIGINT calls `interrupt`; SIGTERM and SIGHUP call `end` with the
    status a shell would give. The former handlers are put back."""
    if sys.platform == "win32":  # whose loops handle none; Ctrl-C comes as a key
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
