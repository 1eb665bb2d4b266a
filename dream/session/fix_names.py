"""Finds the images of a `!fix` line that names a folder, a pattern, or several files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from dream.core.errors import BadLine, InputError, excerpt
from dream.core.file_names import is_file, is_folder, path_exists_at
from dream.inputs import ENDINGS
from dream.line import parse_log_line, quote, split_words
from dream.line.words import split_line

_PATTERN = re.compile(r"[*?[]")
_DIRECT = "sub-folders are not searched"


@dataclass(frozen=True)
class Several:
    """The images of a `!fix` line that names more than a single file."""

    named: str
    """As typed: `holiday/`, `*.png`, `a.png b.png`."""
    files: tuple[Path, ...]
    """Regular files, each once; those of a folder or pattern sorted by name."""
    rest: str
    """The rest of the line: its switches."""
    apart: bool = False
    """Whether there are several names, which `parse_line` does not accept."""

    def line(self, file: Path) -> str:
        """The line for one of the files."""
        return f"!fix {quote(file.as_posix())} {self.rest}".rstrip()


def several(line: str, find: Callable[[str], Path], outdir: Path) -> Several | None:
    """The images of a `!fix` line; None for any other line, and if it names a single file, existing
    or not. Log lines always name a single file.

    A name with spaces is one name if there is such a file. Folders and patterns are searched in the
    current folder, then in the outdir, without sub-folders. Raises InputError for a folder or
    pattern without images, and if one of several names is missing.
    """
    logged = parse_log_line(line)
    parts = split_line(line, logged.start)
    if logged.path is not None or not parts.fixes or not (parts.prompt and parts.prompt.text):
        return None
    others = list(takewhile(lambda word: not word.switch, parts.switches))
    end = (others[-1] if others else parts.prompt).end
    typed, rest = line[parts.prompt.start : end], line[end:].strip()
    names = list(_names(typed))
    if not others:
        whole = parts.prompt.text
        try:
            if is_file(find(whole)):
                return None
        except BadLine:  # -1 may exist when the line is run
            return None
        files = _files(whole, find, outdir)
        if files:
            return Several(whole, tuple(files), rest)
        if files is not None and len(names) < 2:
            raise InputError(f"no images found for {excerpt(whole)}", _DIRECT)
    if len(names) < 2:
        return None
    return _each_of(names, typed, rest, find, outdir)


def _each_of(
    names: Iterable[str], typed: str, rest: str, find: Callable[[str], Path], outdir: Path
) -> Several | None:
    """Several names in one line; None if none of them exists. Raises InputError if only some are
    missing."""
    paths: list[Path] = []
    missing: list[str] = []
    for name in names:
        try:
            files = _files(name, find, outdir)
            if files is None and is_file(path := find(name)):
                files = [path]
        except BadLine:
            files = None
        if files:
            paths += files
        else:
            missing.append(name)
    if not paths:
        return None
    if missing:
        hint = "put file names with spaces in quotes"
        raise InputError(f"there is no {excerpt(missing[0])}", hint)
    return Several(typed, tuple(dict.fromkeys(paths)), rest, apart=True)


def _names(typed: str) -> Iterator[str]:
    """The names in a part of a line: words, and text in single quotes, as terminals paste dropped
    files."""
    begun: list[str] = []
    for word in split_words(typed):
        begun.append(word.text)
        text = " ".join(begun)
        if not word.quoted and text.startswith("'") and (text == "'" or not text.endswith("'")):
            continue
        begun.clear()
        yield text
    yield from begun


def _files(name: str, find: Callable[[str], Path], outdir: Path) -> list[Path] | None:
    """The images in a folder or of a pattern, by name; None if it is neither. Raises BadLine,
    InputError."""
    path = find(name)
    for place in (path, outdir / path):
        if is_folder(place):
            return _in_folder(place)
    if path_exists_at(path) or not _PATTERN.search(name):
        return None
    if "**" in path.parts:
        raise InputError("** is not supported", _DIRECT)
    return _matching(path) or _matching(outdir / path)


def _in_folder(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if _has_image_ending(entry.name))
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror}") from error
    return [file for name in names if is_file(file := folder / name)]


def _matching(pattern: Path) -> list[Path]:
    """Files that match. If some have an image's file ending, only those; else all."""
    root = Path(pattern.anchor)
    try:
        paths = sorted(root.glob(str(pattern.relative_to(root))))
    except (OSError, ValueError, NotImplementedError) as error:  # pathlib: absolute patterns
        raise InputError(f"{excerpt(str(pattern))} is not a valid pattern: {error}") from error
    hidden = pattern.name.startswith(".")
    files = [file for file in paths if (hidden or file.name[0] != ".") and is_file(file)]
    return [file for file in files if file.name.lower().endswith(ENDINGS)] or files


def _has_image_ending(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(ENDINGS)
