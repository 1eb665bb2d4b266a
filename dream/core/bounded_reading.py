"""Files that others wrote, read within bounds: regular files only, of a bounded size; and their
JSON and TOML, with one kind of error whatever is in them.

The standard readers answer damaged files with a dozen kinds of exception, and some of them with
minutes of work. Whoever reads a file of models or settings reads it through here.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

T = TypeVar("T")

JSON_LIMIT = 1 << 20
"""Bytes of a configuration; those of diffusers' and transformers' models have a few thousand."""
TOML_LIMIT = 1 << 17
"""Bytes of a dream.toml, models.toml or card.toml; a thousand models fit in."""

_DEEPEST_KEY = 16
"""Dots in one key. The reader's time grows with their square, and ours have two."""
_DOTTED = 100
"""Dotted keys in a file that is edited. The editor's time grows with their square."""

_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*+(?:"|\\?$)|\'[^\'\n]*(?:\'|$)', re.MULTILINE)
_NO_KEY = re.compile(r"[^\w \t.-]+")


def open_regular(path: Path) -> IO[bytes]:
    """The file opened for reading; a link is followed. Raises OSError, also for what is no regular
    file: a FIFO or a device is never waited for."""
    _check_regular(path.stat().st_mode)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        _check_regular(os.fstat(handle).st_mode)  # it may be another one by now
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _check_regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file")


def read_bounded(path: Path, most: int) -> bytes:
    """All bytes of a regular file. Raises OSError, also for one of more than `most` bytes."""
    with open_regular(path) as file:
        too_large = os.fstat(file.fileno()).st_size > most
        data = b"" if too_large else file.read(most + 1)
    if too_large or len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes")
    return data


def read_json(path: Path, most: int = JSON_LIMIT) -> Any:
    """The JSON in a file. Raises OSError, ValueError."""
    return parse_json(read_bounded(path, most))


def parse_json(text: str | bytes) -> Any:
    """JSON's value. Raises ValueError, and nothing else, for text that is none."""
    return _only_value_errors(json.loads, text)


def read_toml(path: Path, most: int = TOML_LIMIT) -> dict[str, Any]:
    """The table in a TOML file, with or without a byte order mark. Raises OSError, ValueError."""
    return parse_toml(read_bounded(path, most).decode("utf-8-sig"))


def parse_toml(text: str) -> dict[str, Any]:
    """TOML's table. Raises ValueError, and nothing else, for text that is none, and for keys of
    more than 16 dots."""
    import tomllib  # most starts find no file

    _check_toml(text)
    table: dict[str, Any] = _only_value_errors(tomllib.loads, text)
    return table


def read_editable_toml(path: Path) -> str:
    """The text of a TOML file that an editor can read in a second. Raises OSError, ValueError."""
    text = read_bounded(path, TOML_LIMIT).decode("utf-8-sig")
    parse_toml(text)
    lines = _STRING.sub("_", text).splitlines()
    dotted = sum("." in line.partition("=")[0] for line in lines if not line.startswith("["))
    if dotted > _DOTTED:
        raise ValueError(f"it has more than {_DOTTED} dotted keys; write tables instead")
    return text


def _check_toml(text: str) -> None:
    """Raises ValueError for what would take a TOML reader minutes: long text, and keys of more than
    16 dots."""
    if len(text) > TOML_LIMIT:
        raise ValueError(f"it is longer than {TOML_LIMIT:,} characters")
    bare = _STRING.sub("_", text)
    if max(part.count(".") for part in _NO_KEY.split(bare)) > _DEEPEST_KEY:
        raise ValueError(f"a key has more than {_DEEPEST_KEY} dots")


def explain_error(error: Exception) -> str:
    """What an error of these readers says, in one line without the file's name."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())


def _only_value_errors(read: Callable[[Any], T], text: str | bytes) -> T:
    """What the reader reads. Raises ValueError in place of all else that readers raise: nested
    brackets end in RecursionError, odd dates and numbers in whatever made them."""
    try:
        return read(text)
    except ValueError:
        raise
    except (Exception, RecursionError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
