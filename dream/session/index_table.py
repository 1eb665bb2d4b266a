"""The table behind !find and !stats: an SQLite file with a row for each image of a folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

VERSION = 2
"""Of the tables; others are made anew."""
_TABLES = """
create table if not exists images (
    name text primary key, stamp text not null, time real not null, line text not null,
    words text not null, model text not null, tool text not null
);
create index if not exists newest on images (time desc, name desc);
create table if not exists state (name text primary key, value text not null)"""


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


@dataclass(frozen=True)
class IndexSummary:
    """What the images of a folder and its log are."""

    images: int
    deleted: int
    """Of them, those that only the log has."""
    first: float
    last: float
    """When the oldest and newest file was written; see `IndexedImage.time`."""
    tools: tuple[tuple[str, int], ...]
    models: tuple[tuple[str, int], ...]
    """Programs other than dream, and models, with their numbers of images, the most first."""


class IndexTable:
    """The images of one folder. Used as a context manager."""

    def __init__(self, path: Path) -> None:
        """Opens the file; one that is damaged is made anew."""
        self.db = _open(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.db.close()

    def find(
        self,
        words: Sequence[str],
        model: str = "",
        after: float = 0,
        before: float = 0,
        limit: int = -1,
    ) -> Iterator[IndexedImage]:
        """The images with all these words in prompt, negative prompt, model, program or name, the
        newest first. Times are in seconds since 1970; 0 is no limit of time, -1 none of number."""
        where, values = _conditions(words, model, after, before)
        query = f"select name, time, line, model, tool from images where {where}"
        order = "order by time desc, name desc limit ?"
        for row in self.db.execute(f"{query} {order}", [*values, limit]):
            yield IndexedImage(*row)

    def count(
        self, words: Sequence[str], model: str = "", after: float = 0, before: float = 0
    ) -> int:
        """The number of images that `find` finds without a limit."""
        where, values = _conditions(words, model, after, before)
        query = f"select count(*) from images where {where}"
        return int(self.db.execute(query, values).fetchone()[0])

    def summarize(self) -> IndexSummary:
        """Counts of all images that say how they were made."""
        query = "select count(*), total(time = 0) from images where line != ''"
        images, deleted = self.db.execute(query).fetchone()
        query = "select min(time), max(time) from images where line != '' and time > 0"
        first, last = self.db.execute(query).fetchone()
        return IndexSummary(
            images,
            int(deleted),
            first or 0,
            last or 0,
            tuple(row for row in self._count_by("tool") if row[0]),
            tuple(self._count_by("model")),
        )

    def _count_by(self, column: str) -> Iterator[tuple[str, int]]:
        query = f"select {column}, count(*) from images where line != '' group by {column}"
        yield from self.db.execute(f"{query} order by count(*) desc, max(time) desc")


def printable(text: str) -> str:
    """Text that SQLite can hold: no halves of characters."""
    return text.encode(errors="surrogateescape").decode(errors="replace") if text else text


def _conditions(
    words: Sequence[str], model: str, after: float, before: float
) -> tuple[str, list[object]]:
    """A condition of SQL and the values of its question marks; see `IndexTable.find`."""
    where, values = ["line != ''"], list[object]()
    for word in words:
        where.append("instr(words, ?) > 0")
        values.append(printable(word.casefold()))
    for condition, value in (
        ("instr(lower(model), ?) > 0", printable(model.casefold())),
        ("time >= ?", after),
        ("time < ? and time > 0", before),
    ):
        if value:
            where.append(condition)
            values.append(value)
    return " and ".join(where), values


def _open(path: Path) -> sqlite3.Connection:
    """The index file; one in memory where it cannot be opened or is damaged."""
    for _ in range(2):
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            db = sqlite3.connect(path, timeout=5)
            db.execute("pragma synchronous = off")
            db.executescript(_TABLES)
            db.execute("select count(*), max(time) from images").fetchone()
            return db
        except (sqlite3.Error, OSError):
            with suppress(OSError):
                path.unlink()
    db = sqlite3.connect(":memory:")
    db.executescript(_TABLES)
    return db
