"""Keep keys pressed between two prompts for the next prompt, without echoing them into output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

if sys.platform != "win32":
    import termios


@contextmanager
def disable_echo() -> Iterator[None]:
    """Turn off the terminal's echo and line editing within the block; Ctrl-C still interrupts. A
    prompt inside the block sets its own mode. Does nothing if standard input is not a terminal."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    file = sys.stdin.fileno()
    former = termios.tcgetattr(file)
    quiet = termios.tcgetattr(file)
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    # Ctrl-C cancels an image and must not discard the keys typed meanwhile
    quiet[3] |= termios.NOFLSH
    termios.tcsetattr(file, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal may be closed
            termios.tcsetattr(file, termios.TCSANOW, former)
