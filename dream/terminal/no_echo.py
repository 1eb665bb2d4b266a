"""Keys pressed between two prompts: kept for the next, not printed into what is being said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

if sys.platform != "win32":
    import termios


@contextmanager
def disable_echo() -> Iterator[None]:
    """Until the block ends, the system neither shows nor edits keys; Ctrl-C still interrupts. A
    prompt in between does as it likes. Does nothing where standard input is no terminal."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    file = sys.stdin.fileno()
    former = termios.tcgetattr(file)
    quiet = termios.tcgetattr(file)
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    quiet[3] |= termios.NOFLSH  # Ctrl-C ends a picture, not the lines typed meanwhile
    termios.tcsetattr(file, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        with suppress(termios.error):  # it may be gone
            termios.tcsetattr(file, termios.TCSANOW, former)
