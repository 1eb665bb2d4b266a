"""A file of one session: locked as long as the session lives, and written completely or not at
all."""

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
    """Append all of the data, or nothing. Raises OSError."""
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
    """The file, open and locked; None if it does not exist, or belongs to another session. Raises
    OSError, also for a link and anything that is not a regular file."""
    try:
        file = os.fdopen(open_own(path, os.O_RDWR | (os.O_CREAT if create else 0)), "r+b", 0)
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Between opening and locking, its owner may have replaced it by another file.
    with suppress(OSError):
        if lock(file) and os.path.samestat(os.fstat(file.fileno()), path.lstat()):
            return file
    file.close()
    return None


def lock(file: IO[bytes]) -> bool:
    """Take the lock; False if another session has it. Always True on systems without locks."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
