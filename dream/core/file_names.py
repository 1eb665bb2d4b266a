"""Turns what a user types for a file or folder into a valid path."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dream.core.errors import BadLine, excerpt

MOST_OF_A_PART, MOST = 255, 4095
"""Bytes of a name between two slashes, and of a whole path: no usual file system takes more."""


def parse_path(text: str) -> Path:
    """The path, with `~` expanded. Raises BadLine for text that cannot be a path: a name that is
    too long, a zero byte, lone surrogates, the home folder of an unknown user."""
    if "\0" in text:
        raise BadLine(
            f"“{excerpt(text)}” contains a zero byte, which is not allowed in a file name"
        )
    home = os.path.expanduser(text)  # noqa: PTH111 - of ./~name Path would not see the difference
    if home.startswith("~"):
        user = home.partition("/")[0]
        message = f"there is no user {excerpt(user[1:])} here, so {excerpt(user)} is not known"
        if user == "~":
            message = "this user has no home folder, so ~ is not known"
        raise BadLine(message, 0, f"write ./{excerpt(user)} for a file of that name")
    path = Path.cwd() / home if home.startswith("./~") else Path(home)
    try:
        size = len(os.fsencode(path))
        part = max((len(os.fsencode(part)) for part in path.parts), default=0)
    except UnicodeEncodeError:
        raise BadLine(
            f"“{excerpt(text)}” contains characters that are not allowed in a file name"
        ) from None
    if part > MOST_OF_A_PART:
        message = f"“{excerpt(text)}” is too long for a file name: {part} bytes of {MOST_OF_A_PART}"
        raise BadLine(message)
    if size > MOST:
        raise BadLine(f"“{excerpt(text)}” is too long for a path: {size} bytes of {MOST}")
    return path


def spellings(text: str) -> Iterator[str]:
    """The possible readings of a typed file name, the likeliest first: as it is; as a terminal
    pastes a dropped file, `'my cat.png'` or `my\\ cat.png`; as Windows writes a path."""
    yield text
    if "'" in text or "\\" in text:
        with suppress(ValueError):  # a quote that is not closed
            if len(words := shlex.split(text)) == 1:
                yield words[0]
    if "\\" in text:
        yield text.replace("\\", "/")


def path_exists_at(path: Path) -> bool:
    """Whether the file or folder exists; False for an invalid or unreadable path."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether it is a regular file; False for an invalid or unreadable path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether it is a folder; False for an invalid or unreadable path."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def get_file_stamp(path: Path) -> tuple[int, ...] | None:
    """Inode, size and times of a file: equal as long as the file is the same. None for a file that
    does not exist or cannot be examined."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def split_folders(text: str) -> tuple[str, ...]:
    """Folders between commas; one folder whose name has a comma is one."""
    if not text or ("," in text and is_folder(parse_path(text))):
        return (text,) if text else ()
    return tuple(part.strip() for part in text.split(",") if part.strip())
