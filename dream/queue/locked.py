"""A session's own file: held under a lock that dies with it, and only ever whole at its end."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from dream.core.own_files import open_own

if sys.platform != "win32":
    import fcntl


def append(file: IO[bytes], data: bytes) -> None:
    """Write all of it at the end, or nothing. Raises OSError."""
    before = file.seek(0, os.SEEK_END)
    try:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
    except OSError:
        with suppress(OSError):
            file.truncate(before)
        raise


def hold(path: Path, *, create: bool) -> IO[bytes] | None:
    """The file, open and locked; None when it is not there, or another session's. Raises OSError,
    for a link and for what is no regular file too."""
    try:
        file = os.fdopen(open_own(path, os.O_RDWR | (os.O_CREAT if create else 0)), "r+b", 0)
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Between opening and locking, its holder may have put another file in its place.
    with suppress(OSError):
        if lock(file) and os.path.samestat(os.fstat(file.fileno()), path.lstat()):
            return file
    file.close()
    return None


def lock(file: IO[bytes]) -> bool:
    """Take the lock; False when another session has it. Where there are no locks, all may."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
