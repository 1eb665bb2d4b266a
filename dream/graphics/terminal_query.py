"""Queries a terminal for what it supports.

All queries are sent at once, ending with the one that every terminal answers (DA1), so that there
is no waiting for unsupported ones. Keys pressed during the query are returned.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from dream.graphics.terminal import LARGEST_CELL, SMALLEST_CELL, Answers, Tmux

if sys.platform != "win32":
    import termios

PATIENCE, FAR = 0.2, 1.0
"""Seconds to wait for the last answer, locally and over SSH."""

MOST_HEARD = 8192
"""Maximum bytes that are read; answers have about a hundred."""
_MOST_ATTRIBUTES = 64

_QUESTIONS = (
    b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"  # kitty graphics: query with one pixel
    b"\x1b[>q"  # XTVERSION: name and version
    b"\x1b[16t"  # cell size in pixels
    b"\x1b[c"  # DA1: device attributes
)
_KITTY = re.compile(rb"\x1b_G[^\x1b]*?i=31;?([^\x1b]*)\x1b\\")
_VERSION = re.compile(rb"\x1bP>\|([^\x1b]*)\x1b\\")
_CELL = re.compile(rb"\x1b\[6;(\d{1,4});(\d{1,4})t")
_ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
_BEGUN = re.compile(rb"\x1b(?:_|P|\[[?6])[^\x1b]*\x1b?\Z")
"""The beginning of an answer whose rest comes too late."""
_WIPE = b"\r\x1b[K"
"""Erases what a terminal printed because it does not support a query."""


def query_terminal(keys: int, out: int, patience: float = PATIENCE) -> tuple[Answers, str]:
    """The terminal's answers, and the text typed meanwhile. `keys` and `out` are file descriptors
    of a terminal whose cursor is at the start of an empty row. `patience` is the timeout in
    seconds."""
    heard = b""
    with _listening(keys):
        os.write(out, _QUESTIONS)
        deadline = time.monotonic() + patience
        while not (_ATTRIBUTES.search(heard) and _ends_well(heard)):
            if len(heard) >= MOST_HEARD:  # a long paste; the rest is read by the prompt
                break
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([keys], [], [], left)[0]:
                break
            if not (read := os.read(keys, MOST_HEARD - len(heard))):
                break
            heard += read
        os.write(out, _WIPE)
    return parse_answers(heard)


def parse_answers(heard: bytes) -> tuple[Answers, str]:
    """Separate the terminal's answers from the text its user typed."""
    kitty, version = _KITTY.search(heard), _VERSION.search(heard)
    cell, attributes = _CELL.search(heard), _ATTRIBUTES.search(heard)
    for answer in (_KITTY, _VERSION, _CELL, _ATTRIBUTES, _BEGUN):
        heard = answer.sub(b"", heard)
    height, width = map(int, cell.groups()) if cell else (0, 0)
    answers = Answers(
        kitty=kitty is not None and kitty[1] == b"OK",
        attributes=_numbers(attributes[1]) if attributes else frozenset(),
        version=version[1].decode(errors="replace") if version else "",
        cell=(width, height) if _is_a_cell(width, height) else None,
    )
    return answers, heard.decode(errors="replace")


def _is_a_cell(width: int, height: int) -> bool:
    """Whether a cell size in pixels is valid; otherwise the default size is used."""
    least, most = SMALLEST_CELL, LARGEST_CELL
    return least[0] <= width <= most[0] and least[1] <= height <= most[1]


def _numbers(said: bytes) -> frozenset[int]:
    """Parse a limited number of attributes: a forged answer may have any number of them."""
    found = said.split(b";", _MOST_ATTRIBUTES)[:_MOST_ATTRIBUTES]
    return frozenset(int(number) for number in found if 0 < len(number) <= 4)


def _ends_well(heard: bytes) -> bool:
    """Whether the bytes do not end within a UTF-8 character."""
    try:
        heard.decode()
    except UnicodeDecodeError as error:
        return error.end < len(heard) or error.reason != "unexpected end of data"
    return True


def choose_timeout(environment: Mapping[str, str]) -> float:
    """Seconds to wait for answers."""
    return FAR if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY") else PATIENCE


def query_tmux() -> Tmux:
    """Query tmux about its terminal; all defaults if it does not answer."""
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(
            ["tmux", "display-message", "-p", "#{allow-passthrough}|#{client_termtype}"],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=1,
        ).stdout.strip()
        passthrough, _, outside = said.partition("|")
        return Tmux(passthrough=passthrough in ("1", "on", "all", "2"), outside=outside)
    return Tmux()


@contextmanager
def _listening(keys: int) -> Iterator[None]:
    """Read input without echo and line buffering. Text typed ahead is not lost."""
    former = termios.tcgetattr(keys)
    quiet = termios.tcgetattr(keys)
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(keys, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSANOW, former)
