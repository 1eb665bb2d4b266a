"""A cache of what a folder's log and images say, so that searching 100,000 of them is instant.

An SQLite file in the user's cache folder, one a folder. It is never the truth: what changed since
is read again, and without the file everything is.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from platformdirs import user_cache_path

from dream.core.errors import DreamError, GalleryError
from dream.core.request import Request
from dream.gallery import LOG_NAME, parse_logged_name, read_log
from dream.gallery.metadata import read_metadata
from dream.line import format_line, is_skipped, parse_log_line, read_leniently
from dream.options.image_output import READ_ENDINGS
from dream.session.foreign_models import NO_LOOKUP, ModelLookup
from dream.session.image_prompts import get_request_of

_VERSION = 1
"""Of the table; another one is made anew."""
_BATCH = 500
"""Images that are read between two saves, so that an interrupted first reading is not lost."""
_TABLE = """
create table if not exists images (
    name text primary key, stamp text not null, time real not null, line text not null,
    words text not null, model text not null, tool text not null
)"""


@dataclass(frozen=True)
class IndexedImage:
    """An image of a folder, as its log or its file has it."""

    name: str
    """Of the file, in the folder."""
    time: float
    """When the file was written, in seconds since 1970; 0 if it is gone."""
    line: str
    model: str
    tool: str
    """The program that made it, if it is not dream."""


class PictureIndex:
    """The index of one folder. Used as a context manager; `update` reads what is new."""

    def __init__(self, folder: Path, lookup: ModelLookup = NO_LOOKUP) -> None:
        self.folder, self._lookup = folder, lookup
        digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
        path = user_cache_path("dream", appauthor=False) / "images" / f"{digest}.{_VERSION}.sqlite3"
        self._db = _open(path)

    def __enter__(self) -> PictureIndex:
        return self

    def __exit__(self, *raised: object) -> None:
        self._db.close()

    def update(self) -> Iterator[int]:
        """Read what changed in the log and the folder. Yields the number of images to read first,
        if they are many. Raises GalleryError if the folder cannot be read."""
        files = dict(self._list_files())
        lines = dict(self._list_logged())
        known = dict(self._db.execute("select name, stamp from images"))
        wanted = {
            name: f"{files.get(name, (0, 0))} {hash_line(lines.get(name, ''))}"
            for name in {*files, *lines}
        }
        new = [name for name, stamp in wanted.items() if known.get(name) != stamp]
        if len(new) > _BATCH:
            yield len(new)
        with self._db:
            gone = [(name,) for name in known.keys() - wanted.keys()]
            self._db.executemany("delete from images where name = ?", gone)
        for start in range(0, len(new), _BATCH):
            with self._db:
                for name in new[start : start + _BATCH]:
                    time = files.get(name, (0, 0))[1] / 1e9
                    line = lines.get(name, "")
                    row = self._describe_logged(name, line) if line else self._describe(name)
                    self._db.execute(
                        "insert or replace into images values (?, ?, ?, ?, ?, ?, ?)",
                        (name, wanted[name], time, *row),
                    )

    def find(
        self, words: Sequence[str], model: str = "", after: float = 0, before: float = 0
    ) -> Iterator[IndexedImage]:
        """The images with all these words in prompt, negative prompt, model, program or name, the
        newest first. Times are in seconds since 1970; 0 is no limit."""
        where, values = ["line != ''"], list[object]()
        for word in words:
            where.append("instr(words, ?) > 0")
            values.append(_printable(word.casefold()))
        for condition, value in (
            ("instr(lower(model), ?) > 0", _printable(model.casefold())),
            ("time >= ?", after),
            ("time < ? and time > 0", before),
        ):
            if value:
                where.append(condition)
                values.append(value)
        query = f"select name, time, line, model, tool from images where {' and '.join(where)}"
        for row in self._db.execute(f"{query} order by time desc, name desc", values):
            yield IndexedImage(*row)

    def _list_files(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Size and time of each image file."""
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if entry.name[0] != "." and entry.name.lower().endswith(READ_ENDINGS):
                        with suppress(OSError):
                            status = entry.stat()
                            yield _printable(entry.name), (status.st_size, status.st_mtime_ns)
        except OSError as error:
            raise GalleryError(f"cannot read {self.folder}: {error.strerror}") from error

    def _list_logged(self) -> Iterator[tuple[str, str]]:
        """The line of each image in the log; the last one of a name counts."""
        try:
            for _, line in read_log(self.folder / LOG_NAME):
                if not is_skipped(line) and (name := parse_logged_name(line)):
                    yield _printable(name), parse_log_line(line).line
        except GalleryError:
            return

    def _describe_logged(self, name: str, line: str) -> tuple[str, str, str, str]:
        return _make_row(name, line, read_leniently(line)[0])

    def _describe(self, name: str) -> tuple[str, str, str, str]:
        """Of an image that is not in the log: what it records itself; empty if it has no record."""
        with suppress(DreamError):
            metadata = read_metadata(self.folder / name)
            if metadata.has_record and not metadata.grid:
                request = get_request_of(metadata, Path(name), self._lookup)[0]
                line = format_line(request)
                if metadata.foreign is None:
                    return _make_row(name, line, request)
                model = request.model or metadata.foreign.model or None
                return _make_row(name, line, replace(request, model=model), metadata.foreign.tool)
        return ("", "", "", "")


def _make_row(name: str, line: str, request: Request, tool: str = "") -> tuple[str, str, str, str]:
    """Line, words to search, model and program."""
    parts = (request.prompt, request.negative, request.model or "", tool, name)
    return (
        _printable(line),
        _printable("\n".join(parts).casefold()),
        _printable(request.model or ""),
        _printable(tool),
    )


def hash_line(line: str) -> str:
    """A short digest of a line; empty for an empty one."""
    return hashlib.sha256(line.encode(errors="replace")).hexdigest()[:16] if line else ""


def _printable(text: str) -> str:
    """Text that SQLite can hold: no halves of characters."""
    return text.encode(errors="surrogateescape").decode(errors="replace") if text else text


def _open(path: Path) -> sqlite3.Connection:
    """The index file; one in memory where it cannot be opened or is damaged."""
    for _ in range(2):
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            db = sqlite3.connect(path, timeout=5)
            db.execute("pragma synchronous = off")
            db.execute(_TABLE)
            db.execute("select count(*), max(time) from images").fetchone()
            return db
        except (sqlite3.Error, OSError):
            with suppress(OSError):
                path.unlink()
    db = sqlite3.connect(":memory:")
    db.execute(_TABLE)
    return db
