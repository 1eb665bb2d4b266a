"""Finds the input files of a log line, from wherever the log is replayed.

A log has paths relative to the folder that dream ran in. From another folder such a path may be
another file, or none; the hash in the line's comment identifies the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from dream.core.errors import BadLine, InputError
from dream.core.file_names import is_file, parse_path
from dream.core.request import IMAGE_FILE_FIELDS, Request, get_image_files
from dream.gallery import INPUTS_FOLDER
from dream.inputs import hash_file
from dream.line import parse_facts, parse_log_line


@dataclass(frozen=True)
class LoggedFiles:
    """Finds the files of one log line."""

    folder: Path
    """The folder of the log."""
    made_in: Path | None
    """The folder that dream ran in when the line was logged; None if unknown."""
    hashes: Mapping[str, str]
    """The first digits of each file's SHA-256, by the path in the line."""

    @property
    def _inputs(self) -> Path:
        return self.folder / INPUTS_FOLDER

    def find(self, spelling: str, otherwise: Callable[[str], Path]) -> Path:
        """The file with the recorded hash; without a hash, the first that exists: in the folder
        where the line was logged, next to the log, then what `otherwise` finds here.

        A file with a different hash counts as changed only in its own place. Raises BadLine for one
        that exists only here, where another program may have put it.
        """
        if spelling.startswith("-") and spelling[1:].isdecimal():
            return otherwise(spelling)
        path = parse_path(spelling)
        here = otherwise(spelling)
        # Windows logs back-slashes; elsewhere such a character may be part of a name.
        paths = dict.fromkeys((path, parse_path(spelling.replace("\\", "/"))))
        names = dict.fromkeys((path.name, PureWindowsPath(spelling).name))
        own = [place / name for name in names for place in (self.folder, self._inputs)]
        if not path.is_absolute():
            own = [*(self.folder / path for path in paths), *own]
            if self.made_in is not None:
                own = [*(self.made_in / path for path in paths), *own]
        if path.is_absolute() or self.made_in is None or _is_here(self.made_in):
            own.insert(0, here)
        existing = [file for file in own if is_file(file)]
        wanted = self.hashes.get(spelling, "")
        if not wanted:
            return next(iter(existing), here)
        for file in dict.fromkeys([*existing, *([here] if is_file(here) else [])]):
            if _has(file, wanted):
                return file
        if existing or not is_file(here):
            return next(iter(existing), own[0])
        raise BadLine(
            f"{own[0]} is missing, and {here} is a different file: its sha256 is not {wanted}",
            hint="put the file back, or next to the log",
        )


def files_of(line: str, request: Request, folder: Path) -> LoggedFiles | None:
    """How to find the files of a line of a log in this folder; None for a line that was not logged,
    such as one of a list of prompts."""
    logged = parse_log_line(line)
    if logged.path is None:
        return None
    recorded = parse_facts(logged.comment)
    hashes = {
        text: digest
        for name in IMAGE_FILE_FIELDS
        for text, digest in zip(
            get_image_files(getattr(request, name)),
            recorded.get(name, "").split(","),
            strict=False,
        )
        if text and digest
    }
    return LoggedFiles(folder, made_in(folder, logged.path), hashes)


def made_in(folder: Path, picture: str) -> Path | None:
    """The folder that dream ran in when it logged an image, from the image's path in the log and
    the log's folder: for `/a/b/out` and `out/1.png` it is `/a/b`. None if the two have nothing in
    common: an absolute path, a bare name, a log that was moved."""
    parts = PurePosixPath(picture.replace("\\", "/")).parent.parts
    place = folder.absolute()
    for count in range(min(len(parts), len(place.parts) - 1), 0, -1):
        if place.parts[-count:] == parts[:count]:
            return Path(*place.parts[:-count])
    return None


def _is_here(folder: Path) -> bool:
    return folder.resolve() == Path.cwd().resolve()


def _has(file: Path, digest: str) -> bool:
    try:
        return hash_file(file).startswith(digest)
    except InputError:
        return False
