"""Files that dream keeps for itself in folders that anybody may have made.

A folder that was cloned or unpacked can hold a link, a pipe or a device under any name. So a file
of dream's own is opened without following a link, judged by what was opened and not by its path,
and replaced by way of a new file with a random name.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LOCK_TIMEOUT = 10.0
"""Seconds to wait for another program's lock: it holds one for milliseconds, unless suspended."""

LARGEST = 1 << 28
"""Bytes of a log or another list of lines that is read; a million lines fit in."""

BINARY = getattr(os, "O_BINARY", 0)
_WITHOUT_LINKS = getattr(os, "O_NOFOLLOW", 0)
_WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0)
"""Or else opening a pipe would wait for its other end."""


def open_own(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """A file of dream's own, open with these flags of `os.open`: a regular file, by its own name.

    Raises OSError, whose `strerror` says so, for a link or for what is no regular file.
    """
    try:
        file = os.open(path, flags | BINARY | _WITHOUT_LINKS | _WITHOUT_WAITING, mode)
    except OSError as error:
        raise _in_words(path, error) from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise _irregular(path)
        if not _WITHOUT_LINKS and path.is_symlink():
            raise _link(path)
    except BaseException:
        os.close(file)
        raise
    return file


def read_own(path: Path, last: int | None = None) -> bytes:
    """What a file of dream's own holds, or at most its `last` bytes. Raises OSError, for a link,
    for what is no regular file, and for one of more than 256 MiB that is to be read whole."""
    with os.fdopen(open_own(path), "rb") as file:
        if last is not None:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - last))
            return file.read(last)
        if file.seek(0, os.SEEK_END) > LARGEST:
            raise OSError(errno.EFBIG, f"{path.name} is larger than {LARGEST:,} bytes", str(path))
        file.seek(0)
        return file.read(LARGEST)


def replace_own(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file of dream's own as a whole, or make it. Raises OSError; a link, a folder or a
    pipe in its place is left alone."""
    with suppress(FileNotFoundError):
        found = os.lstat(path).st_mode
        if stat.S_ISLNK(found):
            raise _link(path)
        if not stat.S_ISREG(found):
            raise _irregular(path)
    temporary, file = new_beside(path, mode)
    try:
        with os.fdopen(file, "wb") as out:
            out.write(data)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def new_beside(path: Path, mode: int = 0o600) -> tuple[Path, int]:
    """A new, empty file in the same folder, and it open for reading and writing. Its random name is
    one that `dream.gallery` sweeps away when its program has died. Raises OSError."""
    temporary = path.with_name(f".dream-{secrets.token_hex(8)}.tmp")
    return temporary, os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, mode)


def lock(file: int, patience: float = LOCK_TIMEOUT) -> bool:
    """Waits for the lock of an open file. False where there are no locks, or patience ran out."""
    if sys.platform == "win32":
        return False
    give_up = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.002)
        except OSError:
            return False


@contextmanager
def edit_locked(path: Path) -> Iterator[Path]:
    """Until the block ends, no other dream edits a file of the person's own, which may be a link:
    gives the file itself, to be read, changed and then written by `rewrite`. Its folder is made,
    and is what is locked, for the file is replaced. Raises OSError, also for a link in the current
    folder that leads out of it: whoever made the folder chose where."""
    target, here = path.resolve(), Path.cwd()
    inside = path.absolute().is_relative_to(here)
    if inside and path.is_symlink() and not target.is_relative_to(here.resolve()):
        raise OSError(errno.ELOOP, f"{path.name} is a symbolic link out of this folder", str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = -1
    if sys.platform != "win32":  # where a folder cannot be opened
        folder = os.open(target.parent, os.O_RDONLY)
    try:
        if folder >= 0:
            lock(folder)
        yield target
    finally:
        if folder >= 0:
            os.close(folder)


def rewrite(target: Path, text: str) -> None:
    """Replace a file as a whole, durably; its permissions stay. Nobody reads half of it. Raises
    OSError."""
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        mode = None
    temporary, file = new_beside(target, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(file, "w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def refuse_link(folder: Path) -> None:
    """Raises OSError when a folder that dream keeps inside another is a link to elsewhere."""
    if folder.is_symlink():
        raise _link(folder)


def _in_words(path: Path, error: OSError) -> OSError:
    # A link is answered with ELOOP, or by FreeBSD with EMLINK; a pipe nobody reads with
    # ENXIO, a folder with EISDIR.
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return _link(path)
    return _irregular(path) if error.errno in (errno.ENXIO, errno.EISDIR) else error


def _link(path: Path) -> OSError:
    return OSError(
        errno.ELOOP, f"{path.name} is a symbolic link, which is not followed here", str(path)
    )


def _irregular(path: Path) -> OSError:
    return OSError(errno.ENXIO, f"{path.name} is not a regular file", str(path))
