"""Reads files of unknown origin safely: regular files only, of bounded size; and their JSON and
TOML, with one kind of error.

The standard readers raise a dozen kinds of exceptions for damaged files, or take minutes. All files
of models and settings are read through this module.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar

T = TypeVar("T")

JSON_LIMIT = 1 << 20
"""Maximum bytes of a configuration; those of diffusers and transformers have a few thousand."""
TOML_LIMIT = 1 << 17
"""Maximum bytes of a dream.toml, models.toml or card.toml; a thousand models fit."""

LINE_LIMIT = 1 << 17
"""Maximum characters of a line; one with ten thousand seeds fits. Reading twenty million took up to
a minute."""

_DEEPEST_KEY = 16
"""Maximum dots in a key. The reader's time grows with their square, and ours have two."""
_DOTTED = 100
"""Maximum dotted keys in an edited file. The editor's time grows with their square."""

_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*+(?:"|\\?$)|\'[^\'\n]*(?:\'|$)', re.MULTILINE)
_NO_KEY = re.compile(r"[^\w \t.-]+")


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading; links are followed. Raises OSError, also if it is not a regular
    file: a FIFO or a device could block."""
    _check_regular(path.stat().st_mode)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        _check_regular(os.fstat(handle).st_mode)  # it may have been replaced
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


def hash_regular(path: Path) -> str:
    """SHA-256 of a regular file of any size, 64 hex digits. Raises OSError."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Path, most: int = JSON_LIMIT) -> Any:
    """The JSON in a file. Raises OSError, ValueError."""
    return parse_json(read_bounded(path, most))


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError, and nothing else, if it is invalid."""
    return _only_value_errors(json.loads, text)


def read_toml(path: Path, most: int = TOML_LIMIT) -> dict[str, Any]:
    """The table in a TOML file, with or without a byte order mark. Raises OSError, ValueError."""
    return parse_toml(read_bounded(path, most).decode("utf-8-sig"))


def parse_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text. Raises ValueError, and nothing else, if it is invalid or has keys
    of more than 16 dots."""
    return deepcopy(_parse_toml_once(text))


@lru_cache(maxsize=8)  # a model's card is read with every line, and tomllib takes milliseconds
def _parse_toml_once(text: str) -> dict[str, Any]:
    import tomllib  # most starts read no file

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
    """Raises ValueError for text that would take a TOML reader minutes: too long, or with keys of
    more than 16 dots."""
    if len(text) > TOML_LIMIT:
        raise ValueError(f"it is longer than {TOML_LIMIT:,} characters")
    bare = _STRING.sub("_", text)
    if max(part.count(".") for part in _NO_KEY.split(bare)) > _DEEPEST_KEY:
        raise ValueError(f"a key has more than {_DEEPEST_KEY} dots")


def explain_error(error: Exception) -> str:
    """The message of an error of these readers, in one line without the file's name."""
    message = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(message).split())


def _only_value_errors(read: Callable[[Any], T], text: str | bytes) -> T:
    """The result of a reader. Raises ValueError instead of anything else that readers raise: nested
    brackets cause RecursionError, odd dates and numbers other exceptions."""
    try:
        return read(text)
    except ValueError:
        raise
    except (Exception, RecursionError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
