"""Questions to a terminal, and its answers.

All are asked at once, and last the one that every terminal answers (DA1), so that nobody waits for
the ones it does not know. Keys that were pressed meanwhile are given back.
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
"""Seconds to wait for the last answer, here and over SSH."""

MOST_HEARD = 8192
"""Bytes that are read before the prompt: answers have some hundred; what else comes waits."""
_MOST_ATTRIBUTES = 64

_QUESTIONS = (
    b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"  # kitty: would you show this pixel?
    b"\x1b[>q"  # XTVERSION: who are you?
    b"\x1b[16t"  # how large is a cell?
    b"\x1b[c"  # DA1: what can you do?
)
_KITTY = re.compile(rb"\x1b_G[^\x1b]*?i=31;?([^\x1b]*)\x1b\\")
_VERSION = re.compile(rb"\x1bP>\|([^\x1b]*)\x1b\\")
_CELL = re.compile(rb"\x1b\[6;(\d{1,4});(\d{1,4})t")
_ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
_BEGUN = re.compile(rb"\x1b(?:_|P|\[[?6])[^\x1b]*\x1b?\Z")
"""An answer whose rest comes too late."""
_WIPE = b"\r\x1b[K"
"""Of whatever a terminal printed, for not knowing what it was asked."""


def query_terminal(keys: int, out: int, patience: float = PATIENCE) -> tuple[Answers, str]:
    """The terminal's answers, and what was typed meanwhile. `keys` and `out` are file descriptors
    of a terminal, whose cursor stands at the beginning of an empty row."""
    heard = b""
    with _listening(keys):
        os.write(out, _QUESTIONS)
        deadline = time.monotonic() + patience
        while not (_ATTRIBUTES.search(heard) and _ends_well(heard)):
            if len(heard) >= MOST_HEARD:  # more than answers; the rest of a long paste waits
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
    """What a terminal said, sorted from what its user typed."""
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
    """Whether a character can have so many pixels; where it cannot, the usual size counts."""
    least, most = SMALLEST_CELL, LARGEST_CELL
    return least[0] <= width <= most[0] and least[1] <= height <= most[1]


def _numbers(said: bytes) -> frozenset[int]:
    """Attributes, of those that could be any: a forged answer may hold numbers without end."""
    found = said.split(b";", _MOST_ATTRIBUTES)[:_MOST_ATTRIBUTES]
    return frozenset(int(number) for number in found if 0 < len(number) <= 4)


def _ends_well(heard: bytes) -> bool:
    """Whether no key was read by half, as an é may be."""
    try:
        heard.decode()
    except UnicodeDecodeError as error:
        return error.end < len(heard) or error.reason != "unexpected end of data"
    return True


def choose_timeout(environment: Mapping[str, str]) -> float:
    """How long answers may be on their way."""
    return FAR if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY") else PATIENCE


def query_tmux() -> Tmux:
    """What tmux knows; nothing, where it does not say."""
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
    """Keys and answers arrive as they come, unseen. What is typed ahead is not lost."""
    former = termios.tcgetattr(keys)
    quiet = termios.tcgetattr(keys)
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(keys, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSANOW, former)
