"""The lines that wait, on disk: a session that is killed finds them again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

FILE_NAME = ".dream_queue"

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

    def take_over(self) -> tuple[str, ...]:
        """The lines a session before this one left. They stay on disk until `write`."""
        with suppress(OSError):
            for path in self._places():
                held = None if path in self._left else _hold(path, create=False)
                if held is None:
                    continue
                lines = tuple(_lines(held))
                if lines:
                    self._path, self._held = path, held
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
        try:
            if self._held is None and lines:
                self._take_place()
            if self._held is not None:
                self._replace(
                    "".join(f"{_one_line(line)}\n" for line in lines).encode(errors="replace")
                )
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
        for path in self._places():
            held = _hold(path, create=True)
            if held is None:
                continue
            if not held.read(1):  # else a session that died since this one began left it
                self._path, self._held = path, held
                return
            held.close()
        raise OSError(0, "every place is taken")

    def _replace(self, data: bytes) -> None:
        temporary = self._path.with_name(f"{self._path.name}.tmp")
        # Prompts are private: as with the history, only their author reads this file.
        file = os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b")
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
    """The file, open and locked; None when it is not there, or another session's."""
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600), "r+b")
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Between opening and locking, its holder may have put another file in its place.
    with suppress(OSError):
        if _lock(file) and os.path.samestat(os.fstat(file.fileno()), path.stat()):
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
