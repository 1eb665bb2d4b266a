"""What a disk must be told so that nothing is lost, torn or overwritten.

Whoever is at work on a file holds a lock on it; the system lets go of the lock when its holder
dies, however it dies. So a file nobody holds was left behind by the dead, and may be swept. Where
there are no such locks, age decides.
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
"""What a claim holds: who claimed it, or nothing yet."""
_NAME_HELD = b"dream holds this name for a picture it is writing\n"
"""What stands in a picture's place where its name has to be taken before its file can have it."""
NO_LINKS = frozenset(
    {errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
)
"""What systems answer where a file can have one name only, as on a memory stick."""

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
    """What went wrong and what to do next, in a user's words."""
    return _WHY.get(error.errno or 0, (error.strerror or str(error), _ELSEWHERE))


@contextmanager
def raise_gallery_errors(folder: Path) -> Iterator[None]:
    """Raises GalleryError in place of the OSError a full or closed disk answers with."""
    try:
        yield
    except OSError as error:
        reason, hint = explain_os_error(error)
        raise GalleryError(f"cannot write to {folder}: {reason}", hint) from error


@contextmanager
def open_exclusive(path: Path) -> Iterator[int]:
    """A new file, open for writing, held until the block ends, and then removed.

    Raises FileExistsError when there is one already.
    """
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o666)
        try:
            lock(file)
            if _is_at(file, path):  # else it was swept before we held it
                yield file
                return
        finally:
            _let_go(file, path)


def _let_go(file: int, path: Path) -> None:
    if sys.platform == "win32":  # where an open file cannot be removed
        os.close(file)
    with suppress(OSError):
        if sys.platform == "win32" or _is_at(file, path):
            path.unlink()
    if sys.platform != "win32":  # where the name, once let go, may be another's at once
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Whether the open file still is the one at this path."""
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False


def remove_stale_files(folder: Path) -> None:
    """Removes what dead programs left behind: temporary files and claims nobody holds."""
    for name in list_names(folder):
        if TEMP_NAME_PATTERN.fullmatch(name):
            with suppress(OSError):
                _remove_if_left(folder / name)


def _remove_if_left(path: Path) -> None:
    """Removes a temporary file or a claim that nobody holds. Raises OSError."""
    _remove(path, lambda file: path.suffix != ".claim" or _CLAIM.fullmatch(_beginning(file)))


def remove_if_held_in_vain(path: Path) -> bool:
    """Removes what only held the name of a picture that never came; whether it was that. An empty
    file is not: a browser may be about to fill it. Raises OSError."""
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
    path.unlink()  # Windows refuses while somebody has the file open
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
    """Gives a finished file its name, or the first free one of name.01.png, name.02.png …

    Nothing is ever overwritten, whoever else writes to the folder.
    """
    path, count = folder / name, 0
    while not _named(temporary, path):
        count += 1
        path = folder / f"{name.removesuffix('.png')}.{count:02}.png"
    sync_folder(folder)
    return path


def _named(temporary: Path, path: Path) -> bool:
    """Names the file; False when the name is taken."""
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
    """The same where a file has one name only: another file holds it, then is replaced."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_exclusive(path))
        except FileExistsError:
            return False
        os.write(file, _NAME_HELD)
        temporary.replace(path)
    return True


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder survive a power cut, where the system can."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
