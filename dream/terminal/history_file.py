"""Store the history of entered lines in a file that parallel sessions share."""

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
"""How many bytes at the end of the file the arrow keys reach; `read_lines` reads all of it."""


LEAVE = ("q", "quit", "exit", "/bye")
"""Words that end a session. They are not stored in the history."""


class LineHistory(History):
    """One line of the file is one entered line, oldest first.

    Each line is appended in a single write when it is entered, so a crash loses none and two
    sessions never split each other's lines. A file that cannot be written is reported once to
    `complain`; the history then lasts as long as the session. Blank lines and the words in `LEAVE`
    are not stored.
    """

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        super().__init__()
        self._path = path
        self._complain = complain
        self._unsaved_lines: list[str] | None = None
        """This session's lines, if the file cannot be written."""

    def read_lines(self) -> Sequence[str]:
        """Return every line, including the newest of other sessions; `!7` is the seventh."""
        return [*_read(self._path), *(self._unsaved_lines or ())]

    def clear(self) -> None:
        """Delete every line, also those of other sessions. Raises GalleryError if the file cannot
        be emptied."""
        try:
            with suppress(FileNotFoundError):
                file = open_own(self._path, os.O_WRONLY)
                try:
                    os.ftruncate(file, 0)
                finally:
                    os.close(file)
        except OSError as error:
            raise GalleryError(f"cannot clear {self._path}: {error.strerror}") from error
        self._unsaved_lines = None if self._unsaved_lines is None else []
        self._loaded_strings = []

    def append_string(self, string: str) -> None:
        """Add an entered line."""
        self.append_strings([string])

    def append_strings(self, strings: Iterable[str]) -> None:
        """Add entered lines, oldest first."""
        added = [text for text in strings if text.strip() and text.strip() not in LEAVE]
        if added:
            self._loaded_strings[:0] = reversed(added)
            self._store(added)

    def load_history_strings(self) -> Iterable[str]:
        """Return the recent lines, newest first."""
        return reversed(_read(self._path, _RECENT))

    def store_string(self, string: str) -> None:
        """Append one line to the file, or report once why it cannot be written."""
        self._store([string])

    def _store(self, strings: Iterable[str]) -> None:
        lines = [string.replace("\n", "\\n") for string in strings]
        if self._unsaved_lines is None:
            try:
                return _append(self._path, lines)
            except OSError as error:
                self._unsaved_lines = []
                self._complain(f"the history is not saved: {self._path}: {error.strerror}")
        self._unsaved_lines += lines


def _append(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(f"{line}\n" for line in lines).encode(errors="replace")
    # Prompts are private: as with a shell's history, only the user can read this file.
    file = open_own(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        if os.fstat(file).st_size:
            os.lseek(file, -1, os.SEEK_END)
            if os.read(file, 1) != b"\n":
                data = b"\n" + data  # a full disk cut a line off: do not append to it
        if os.write(file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def _read(path: Path, last: int | None = None) -> list[str]:
    """The lines in the last `last` bytes of the file, oldest first; none if it cannot be read."""
    try:
        data = read_own(path, last)
    except OSError:
        return []
    if last is not None and len(data) == last:
        data = data.partition(b"\n")[2]
    lines = data.decode(errors="replace").split("\n")
    # Another program may have written the file: remove control characters before a line goes into
    # the edit line.
    return [remove_controls(line.removesuffix("\r")) for line in lines if line]
