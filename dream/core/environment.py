"""What a program may take for granted and this one's starter may have left out: standard streams,
and a home folder."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


def open_streams() -> None:
    """Where the program was started with standard streams closed (`<&-`), they are empty: else the
    next file that is opened would take their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            empty = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - for good
            setattr(sys, name, empty)


def close_output() -> None:
    """Whoever read our output has gone (`dream -h | head -1`). Python would flush the broken pipe
    once more at exit, and complain: give it another end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def ensure_home() -> Iterator[None]:
    """A home folder until the block ends, for a user without one: a container's or a cron job's,
    with no HOME and a number that no password file knows. What libraries keep there is removed."""
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
    """The same until this process ends, for whoever is no program of ours."""
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
