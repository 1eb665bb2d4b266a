"""Writes files so that nothing is lost, torn or overwritten, even in a crash.

A program locks each file that it is writing. The system releases the lock when the program ends, in
whatever way. So a file without a lock was left by a crash and can be removed. On systems without
such locks, the file's age decides.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dream.core.errors import GalleryError
from dream.core.own_files import BINARY, lock, open_own
from dream.gallery.folder import list_names

if sys.platform != "win32":
    import fcntl

A_DAY = 24 * 60 * 60
TEMP_NAME_PATTERN = re.compile(r"\.(dream-[0-9a-f]{16}\.tmp|[0-9]{6,}\.claim)")
_CLAIM = re.compile(rb"([0-9]+ [^\n]*\n)?")
"""The content of a claim: who claimed it, or nothing yet."""
_NAME_HELD = b"dream holds this name for a picture it is writing\n"
"""The content of a file that reserves an image's name on file systems without hard links."""
NO_LINKS = frozenset(
    {errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
)
"""The errors of file systems without hard links, such as a memory stick."""

_ELSEWHERE = "choose another folder with -o FOLDER"
_WHY = {
    errno.ENOSPC: ("no space is left", f"free some, or {_ELSEWHERE}"),
    errno.EDQUOT: ("your disk quota is used up", f"free some, or {_ELSEWHERE}"),
    errno.EFBIG: ("the file would exceed the file size limit", "see ulimit -f"),
    errno.EROFS: ("the disk is read-only", _ELSEWHERE),
    errno.EACCES: ("permission denied", _ELSEWHERE),
    errno.EPERM: ("permission denied", _ELSEWHERE),
    errno.ENOTDIR: ("there is a file with the folder's name", _ELSEWHERE),
    errno.EEXIST: ("there is a file with the folder's name", _ELSEWHERE),
    errno.ENAMETOOLONG: ("the name is too long", "shorten --fnformat, or the folder's name"),
}


def explain_os_error(error: OSError) -> tuple[str, str]:
    """Describe an OSError for the user: what went wrong, and what to do next."""
    return _WHY.get(error.errno or 0, (error.strerror or str(error), _ELSEWHERE))


@contextmanager
def raise_gallery_errors(folder: Path) -> Iterator[None]:
    """Convert an OSError, such as that of a full disk, into GalleryError."""
    try:
        yield
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise GalleryError(f"cannot write to {folder}: {reason}", hint) from error


@contextmanager
def open_exclusive(path: Path) -> Iterator[int]:
    """Create a file, open for writing and locked until the block ends, then removed.

    Raises FileExistsError if it exists already.
    """
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o666)
        try:
            lock(file)
            if _is_at(file, path):  # otherwise it was removed before it was locked
                yield file
                return
        finally:
            _let_go(file, path)


def _let_go(file: int, path: Path) -> None:
    if sys.platform == "win32":  # an open file cannot be removed
        os.close(file)
    with suppress(OSError):
        if sys.platform == "win32" or _is_at(file, path):
            path.unlink()
    if sys.platform != "win32":  # after the removal another program may use the name
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Whether the open file is still the one at this path."""
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False


def remove_stale_files(folder: Path) -> None:
    """Remove temporary files and claims that a crash left."""
    for name in list_names(folder):
        if TEMP_NAME_PATTERN.fullmatch(name):
            with suppress(OSError):
                _remove_if_left(folder / name)


def _remove_if_left(path: Path) -> None:
    """Remove a temporary file or a claim that no program has locked. Raises OSError."""
    _remove(path, lambda file: path.suffix != ".claim" or _CLAIM.fullmatch(_beginning(file)))


def remove_if_held_in_vain(path: Path) -> bool:
    """Remove a file that only reserved the name of an image, and return whether it was one. An
    empty file is not: a browser may be about to write it. Raises OSError."""
    return _remove(path, lambda file: _beginning(file) == _NAME_HELD)


def _remove(path: Path, is_left: Callable[[int], object]) -> bool:
    file = open_own(path, os.O_RDWR)
    try:
        if not (is_left(file) and _nobody_holds(file) and _is_at(file, path)):
            return False
        if sys.platform != "win32":
            path.unlink()
            return True
    finally:
        os.close(file)
    path.unlink()  # Windows refuses if a program has the file open
    return True


def _beginning(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    return os.read(file, 512)


def _nobody_holds(file: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - os.fstat(file).st_mtime > A_DAY
    return True


def publish_file(temporary: Path, folder: Path, name: str) -> Path:
    """Give a finished file its name, or the first free one of name.01.png, name.02.png …

    Nothing is ever overwritten, even if other programs write to the folder.
    """
    path, count = folder / name, 0
    while not name_unless_taken(temporary, path):
        count += 1
        stem, _, ending = name.rpartition(".")
        path = folder / f"{stem}.{count:02}.{ending}"
    sync_folder(folder)
    return path


def name_unless_taken(temporary: Path, path: Path) -> bool:
    """Name a finished file; False if the name is taken. Raises OSError."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return _named_without_links(temporary, path)
    return True


def _named_without_links(temporary: Path, path: Path) -> bool:
    """The same without hard links: reserve the name, then replace that file."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_exclusive(path))
        except FileExistsError:
            return False
        os.write(file, _NAME_HELD)
        temporary.replace(path)
    return True


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut, where the system supports it."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
