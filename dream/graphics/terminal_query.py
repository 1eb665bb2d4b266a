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

TIMEOUT, SSH_TIMEOUT = 0.2, 1.0
"""Seconds to wait for the last answer, locally and over SSH."""

MOST_HEARD = 8192
"""Maximum bytes that are read; answers have about a hundred."""
_MOST_ATTRIBUTES = 64
_LONGEST_ANSWER = 512
"""Bytes of a name and version, or of kitty's answer; longer ones are dropped to their end."""
_MOST_DROPPED, _PATIENCE = 1 << 20, 5
"""Maximum bytes that are read, and how many times the timeout, to find the end of one."""

_QUERIES = (
    b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"  # kitty graphics: query with one pixel
    b"\x1b[>q"  # XTVERSION: name and version
    b"\x1b[16t"  # cell size in pixels
    b"\x1b[c"  # DA1: device attributes
)
_KITTY = re.compile(rb"\x1b_G[^\x1b]*?i=31;?([^\x1b]*)\x1b\\")
_VERSION = re.compile(rb"\x1bP>\|([^\x1b]*)\x1b\\")
_STRING, _STRING_END = re.compile(rb"\x1b(?:P>\||_G)"), b"\x1b\\"
_CELL = re.compile(rb"\x1b\[6;(\d{1,4});(\d{1,4})t")
_ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
_PARTIAL_ANSWER = re.compile(rb"\x1b(?:_|P|\[[?6])[^\x1b]*\x1b?\Z")
"""The beginning of an answer whose rest comes too late."""
_ERASE_ROW = b"\r\x1b[K"
"""Erases what a terminal printed because it does not support a query."""


def query_terminal(keys: int, out: int, timeout: float = TIMEOUT) -> tuple[Answers, str]:
    """The terminal's answers, and the text typed meanwhile. `keys` and `out` are file descriptors
    of a terminal whose cursor is at the start of an empty row; `timeout` is in seconds."""
    received, unended, dropped = b"", b"", 0
    with _unbuffered(keys):
        os.write(out, _QUERIES)
        start = time.monotonic()
        while unended or not (_ATTRIBUTES.search(received) and _ends_whole(received)):
            if len(received) >= MOST_HEARD:  # a long paste; the rest is read by the prompt
                break
            left = start + timeout * (_PATIENCE if unended else 1) - time.monotonic()
            if left <= 0 or dropped > _MOST_DROPPED:
                break
            if not select.select([keys], [], [], min(left, timeout))[0]:
                break
            if not (read := os.read(keys, MOST_HEARD - len(received))):
                break
            whole = received + unended + read
            received, unended = _drop_long_answers(whole)
            dropped += len(whole) - len(received) - len(unended)
        os.write(out, _ERASE_ROW)
    return parse_answers(received)


def parse_answers(received: bytes) -> tuple[Answers, str]:
    """Separate the terminal's answers, in the first `MOST_HEARD` bytes, from the text its user
    typed."""
    received, _ = _drop_long_answers(received)
    received, typed = received[:MOST_HEARD], received[MOST_HEARD:]
    kitty, version = _KITTY.search(received), _VERSION.search(received)
    cell, attributes = _CELL.search(received), _ATTRIBUTES.search(received)
    for answer in (_KITTY, _VERSION, _CELL, _ATTRIBUTES, _PARTIAL_ANSWER):
        received = answer.sub(b"", received)
    height, width = map(int, cell.groups()) if cell else (0, 0)
    answers = Answers(
        kitty=kitty is not None and kitty[1] == b"OK",
        attributes=_numbers(attributes[1]) if attributes else frozenset(),
        version=version[1].decode(errors="replace") if version else "",
        cell=(width, height) if _is_valid_cell(width, height) else None,
    )
    return answers, (received + typed).decode(errors="replace")


def _drop_long_answers(received: bytes) -> tuple[bytes, bytes]:
    """All but the answers that are too long or have other sequences in them, which a terminal
    passes on from a program; and the beginning of such a one whose end has not come."""
    kept, at = [], 0
    while found := _STRING.search(received, at):
        start, end = found.start(), received.find(_STRING_END, found.end())
        kept.append(received[at:start])
        if end < 0:
            rest = received[start:]
            if len(rest) <= _LONGEST_ANSWER:
                return b"".join(kept) + rest, b""
            cut = b"\x1b" if rest.endswith(b"\x1b") else b""
            return b"".join(kept), rest[: _LONGEST_ANSWER + 1] + cut
        at = end + len(_STRING_END)
        if at - start <= _LONGEST_ANSWER and b"\x1b" not in received[start + 1 : end]:
            kept.append(received[start:at])
    return b"".join(kept) + received[at:], b""


def _is_valid_cell(width: int, height: int) -> bool:
    """Whether a cell size in pixels is valid; otherwise the default size is used."""
    least, most = SMALLEST_CELL, LARGEST_CELL
    return least[0] <= width <= most[0] and least[1] <= height <= most[1]


def _numbers(attributes: bytes) -> frozenset[int]:
    """Parse a limited number of attributes: a forged answer may have any number of them."""
    numbers = attributes.split(b";", _MOST_ATTRIBUTES)[:_MOST_ATTRIBUTES]
    return frozenset(int(number) for number in numbers if 0 < len(number) <= 4)


def _ends_whole(received: bytes) -> bool:
    """Whether the bytes do not end within a UTF-8 character."""
    try:
        received.decode()
    except UnicodeDecodeError as error:
        return error.end < len(received) or error.reason != "unexpected end of data"
    return True


def choose_timeout(environment: Mapping[str, str]) -> float:
    """Seconds to wait for answers."""
    return (
        SSH_TIMEOUT if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY") else TIMEOUT
    )


def query_tmux() -> Tmux:
    """Query tmux about its terminal; all defaults if it does not answer."""
    with suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(
            ["tmux", "display-message", "-p", "#{allow-passthrough}|#{client_termtype}"],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=1,
        ).stdout.strip()
        passthrough, _, outside = answer.partition("|")
        return Tmux(passthrough=passthrough in ("1", "on", "all", "2"), outside=outside)
    return Tmux()


@contextmanager
def _unbuffered(keys: int) -> Iterator[None]:
    """Read input without echo and line buffering. Text typed ahead is not lost."""
    former = termios.tcgetattr(keys)
    raw = termios.tcgetattr(keys)
    raw[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(keys, termios.TCSANOW, raw)
    try:
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSANOW, former)
