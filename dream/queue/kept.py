"""The lines that wait, on disk: a session that is killed finds them again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from dream.files import new_beside, open_own

if sys.platform != "win32":
    import fcntl

FILE_NAME = ".dream_queue"

_LONGEST = 1 << 24
"""Bytes of a file of lines that are offered; a session keeps a few."""
_SESSIONS = 100
"""Sessions in one folder that keep their lines at the same time; one more goes without."""


class KeptLines:
    """One line of the file is one waiting line, the next one first; a list for `--from_file`.

    Each session holds a lock on a file of its own: `.dream_queue`, or `.dream_queue.2` … where
    another session holds that one. The system lets go of a lock when its holder dies, however it
    dies, so a file nobody holds is what a dead session left; a new session takes it over. The file
    is replaced as a whole with each change. It is not fsynced: Enter shall not wait for a disk, and
    a power cut that takes the last lines leaves them in the history.
    """

    def __init__(self, folder: Path, complain: Callable[[str], None]) -> None:
        """`complain` is told once why nothing can be kept, if so."""
        self._folder, self._complain = folder, complain
        self._path = folder / FILE_NAME
        self._held: IO[bytes] | None = None
        self._left: set[Path] = set()
        self.on_disk = False
        """Whether the lines of the last `write`, or those that were taken over, are on disk."""

    def take_over(self) -> tuple[str, ...]:
        """The lines a session before this one left. They stay on disk until `write`."""
        for path in self._places():
            with suppress(OSError):  # one that cannot be read hides no other
                held = None if path in self._left else _hold(path, create=False)
                if held is None:
                    continue
                if os.fstat(held.fileno()).st_size > _LONGEST:
                    held.close()
                    continue
                lines = tuple(_lines(held))
                if lines:
                    self._path, self._held, self.on_disk = path, held, True
                    return lines
                path.unlink(missing_ok=True)
                held.close()
        return ()

    def leave(self) -> None:
        """Let go of the lines that were taken over: they stay on disk for a later session, and this
        one keeps its own in another file."""
        if self._held is not None:
            self._left.add(self._path)
            self._held.close()
            self._held = None

    def write(self, lines: Sequence[str]) -> None:
        """Keep these lines and no others. Never raises."""
        self.on_disk = False
        try:
            if self._held is None and lines:
                self._take_place()
            if self._held is not None:
                self._replace(
                    "".join(f"{_one_line(line)}\n" for line in lines).encode(errors="replace")
                )
                self.on_disk = True
        except OSError as error:
            self._complain(f"waiting lines are not kept: {self._path}: {error.strerror or error}")
            self._complain = lambda text: None

    def close(self) -> None:
        """Let go of the file; an empty one is removed."""
        if self._held is None:
            return
        with suppress(OSError):
            if not self._path.stat().st_size:
                self._path.unlink()
        self._held.close()
        self._held = None

    def _places(self) -> Iterator[Path]:
        first = self._folder / FILE_NAME
        yield first
        yield from (first.with_name(f"{FILE_NAME}.{n}") for n in range(2, _SESSIONS + 1))

    def _take_place(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        refused = OSError(0, "every place is taken")
        for path in self._places():
            try:
                held = _hold(path, create=True)
            except OSError as error:  # a link, a folder, or another user's; the next may do
                refused = error
                continue
            if held is None:
                continue
            if not held.read(1):  # else a session that died since this one began left it
                self._path, self._held = path, held
                return
            held.close()
        raise refused

    def _replace(self, data: bytes) -> None:
        # Prompts are private: as with the history, only their author reads this file.
        temporary, handle = new_beside(self._path)
        file = os.fdopen(handle, "w+b")
        try:
            file.write(data)
            file.flush()
            _lock(file)
            temporary.replace(self._path)
        except OSError:
            file.close()
            temporary.unlink(missing_ok=True)
            raise
        if self._held is not None:
            self._held.close()
        self._held = file


def _hold(path: Path, *, create: bool) -> IO[bytes] | None:
    """The file, open and locked; None when it is not there, or another session's. Raises OSError,
    for a link and for what is no regular file too."""
    try:
        file = os.fdopen(open_own(path, os.O_RDWR | (os.O_CREAT if create else 0)), "r+b")
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Between opening and locking, its holder may have put another file in its place.
    with suppress(OSError):
        if _lock(file) and os.path.samestat(os.fstat(file.fileno()), path.lstat()):
            return file
    file.close()
    return None


def _lock(file: IO[bytes]) -> bool:
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


def _lines(file: IO[bytes]) -> Iterator[str]:
    return (line for line in file.read().decode(errors="replace").split("\n") if line.strip())


def _one_line(line: str) -> str:
    return line.replace("\n", " ")
