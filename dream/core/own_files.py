"""Opens and replaces dream's own files (log, history, queue) in folders that anyone may have made.

A cloned or unpacked folder can contain a link, a pipe or a device under any name. So an own file is
opened without following links, checked after opening and not by its path, and replaced through a
new file with a random name.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LOCK_TIMEOUT = 10.0
"""Seconds to wait for another program's lock, which is usually held for milliseconds."""

LARGEST = 1 << 28
"""Maximum bytes of a log or another list of lines; a million lines fit."""

BINARY = getattr(os, "O_BINARY", 0)
_WITHOUT_LINKS = getattr(os, "O_NOFOLLOW", 0)
_WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0)
"""Otherwise opening a pipe would wait for its other end."""


def open_own(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Open one of dream's own files with these flags of `os.open`; returns the descriptor.

    Raises OSError, with the reason as `strerror`, if it is a link or not a regular file.
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
    """The contents of one of dream's own files, or at most its `last` bytes. Raises OSError if it
    is a link, not a regular file, or, without `last`, larger than 256 MiB."""
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
    """Create or replace one of dream's own files as a whole. Raises OSError; a link, a folder or a
    pipe in its place is not touched."""
    with suppress(FileNotFoundError):
        file_mode = os.lstat(path).st_mode
        if stat.S_ISLNK(file_mode):
            raise _link(path)
        if not stat.S_ISREG(file_mode):
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
    """A new, empty file in the same folder: its path, and its descriptor for reading and writing.
    `dream.gallery` removes files of such random names after a crash. Raises OSError."""
    import secrets  # no start waits for it

    temporary = path.with_name(f".dream-{secrets.token_hex(8)}.tmp")
    return temporary, os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, mode)


def lock(file: int, timeout: float = LOCK_TIMEOUT) -> bool:
    """Wait for the lock of an open file. False if locks are not supported, or after `timeout`
    seconds."""
    if sys.platform == "win32":
        return False
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        except OSError:
            return False


@contextmanager
def edit_locked(path: Path) -> Iterator[Path]:
    """Keeps other dream processes from editing one of the user's files until the block ends. Yields
    the file itself if it is a link; read and change it, then write it with `rewrite`. Its folder is
    created and locked, since the file is replaced. Raises OSError, also for a link from the current
    folder to outside it: whoever made the folder chose the target."""
    target, here = path.resolve(), Path.cwd()
    inside = path.absolute().is_relative_to(here)
    if inside and path.is_symlink() and not target.is_relative_to(here.resolve()):
        raise OSError(errno.ELOOP, f"{path.name} is a symbolic link out of this folder", str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = -1
    if sys.platform != "win32":  # where folders cannot be opened
        folder = os.open(target.parent, os.O_RDONLY)
    try:
        if folder >= 0:
            lock(folder)
        yield target
    finally:
        if folder >= 0:
            os.close(folder)


def rewrite(target: Path, text: str) -> None:
    """Replace a file atomically and durably; its permissions stay. Raises OSError."""
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
    """Raises OSError if one of dream's own subfolders is a link."""
    if folder.is_symlink():
        raise _link(folder)


def _in_words(path: Path, error: OSError) -> OSError:
    # The error is ELOOP for a link (EMLINK on FreeBSD), ENXIO for a pipe without a reader,
    # EISDIR for a folder.
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return _link(path)
    return _irregular(path) if error.errno in (errno.ENXIO, errno.EISDIR) else error


def _link(path: Path) -> OSError:
    return OSError(
        errno.ELOOP, f"{path.name} is a symbolic link, which is not followed here", str(path)
    )


def _irregular(path: Path) -> OSError:
    return OSError(errno.ENXIO, f"{path.name} is not a regular file", str(path))
