"""Provides standard streams and a home folder where the process was started without them."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal


def open_streams() -> None:
    """Replace closed standard streams (`<&-`) by empty ones; otherwise the next opened file would
    get their descriptor."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            empty = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - never closed
            setattr(sys, name, empty)


def close_output(name: Literal["stdout", "stderr"]) -> None:
    """Redirect a standard stream to the null device, after its reader has gone (`dream -h | head
    -1`) or its disk is full: Python would flush it again at exit and report an error."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), getattr(sys, name).fileno())


@contextmanager
def ensure_home() -> Iterator[None]:
    """A temporary home folder for a user without one (in a container or a cron job, with no HOME
    and an unknown user id), removed at the end of the block."""
    if _has_home():
        yield
        return
    folder = tempfile.mkdtemp(prefix="dream-home-")
    os.environ["HOME"] = folder
    try:
        yield
    finally:
        del os.environ["HOME"]
        shutil.rmtree(folder, ignore_errors=True)


def lend_home() -> None:
    """The same until this process ends, for programs that use dream as a library."""
    if not _has_home():
        home = ExitStack()
        home.enter_context(ensure_home())
        atexit.register(home.close)


def _has_home() -> bool:
    try:
        Path.home()
    except RuntimeError:
        return False
    return True
