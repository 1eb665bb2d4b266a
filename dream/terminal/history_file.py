"""What was typed, line by line, in a file that parallel sessions share."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.history import History

from dream.core.errors import GalleryError
from dream.core.own_files import open_own, read_own
from dream.core.plain_text import remove_controls

FILE_NAME = ".dream_history"

_RECENT = 1 << 20
"""Bytes from the end of the file that the arrow keys go back to; `lines` reads all of it."""


LEAVE = ("q", "quit", "exit", "/bye")
"""Words that end a session. No history keeps them."""


class LineHistory(History):
    """One line of the file is one entered line, oldest first.

    Each is appended in a single write the moment it is entered, so a crash loses none and two
    sessions never tear each other's. A file that cannot be written is reported once to `complain`;
    history then lasts as long as the session. Blank lines and the words in `LEAVE` are not kept.
    """

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        super().__init__()
        self._path = path
        self._complain = complain
        self._kept: list[str] | None = None
        """This session's lines, once the file refuses them."""

    def read_lines(self) -> Sequence[str]:
        """Every line, other sessions' of this very moment included; `!7` is the seventh."""
        return [*_read(self._path), *(self._kept or ())]

    def clear(self) -> None:
        """Forget every line, other sessions' too. Raises GalleryError when the file cannot be
        emptied."""
        try:
            with suppress(FileNotFoundError):
                file = open_own(self._path, os.O_WRONLY)
                try:
                    os.ftruncate(file, 0)
                finally:
                    os.close(file)
        except OSError as error:
            raise GalleryError(f"cannot clear {self._path}: {error.strerror}") from error
        self._kept = None if self._kept is None else []
        self._loaded_strings = []

    def append_string(self, string: str) -> None:
        """Remember a line that was entered."""
        if string.strip() and string.strip() not in LEAVE:
            super().append_string(string)

    def load_history_strings(self) -> Iterable[str]:
        """The recent lines, newest first."""
        return reversed(_read(self._path, _RECENT))

    def store_string(self, string: str) -> None:
        """Append one line to the file, or say once why that cannot be."""
        line = string.replace("\n", "\\n")
        if self._kept is None:
            try:
                return _append(self._path, line)
            except OSError as error:
                self._kept = []
                self._complain(f"history is not kept: {self._path}: {error.strerror}")
        self._kept.append(line)


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = f"{line}\n".encode(errors="replace")
    # Prompts are private: as with a shell's history, only their author reads this file.
    file = open_own(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        if os.fstat(file).st_size:
            os.lseek(file, -1, os.SEEK_END)
            if os.read(file, 1) != b"\n":
                data = b"\n" + data  # a full disk cut a line off: do not join it
        if os.write(file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def _read(path: Path, last: int | None = None) -> list[str]:
    """The file's lines, oldest first, of at most its `last` bytes; none when it cannot be read."""
    try:
        data = read_own(path, last)
    except OSError:
        return []
    if last is not None and len(data) == last:
        data = data.partition(b"\n")[2]
    lines = data.decode(errors="replace").split("\n")
    # Another program may have written it: a line goes into the edit line, and stays one there.
    return [remove_controls(line.removesuffix("\r")) for line in lines if line]
