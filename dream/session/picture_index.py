"""A cache of what a folder's log and images say, so that searching 100,000 of them is instant.

An SQLite file in the user's cache folder, one a folder. It is never the truth: what changed since
is read again, and without the file everything is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import time_ns

from platformdirs import user_cache_path

from dream.core.errors import DreamError, GalleryError
from dream.core.request import Request
from dream.gallery import LOG_NAME, LogMark, parse_logged_name, read_log_after
from dream.gallery.folder import list_names
from dream.gallery.metadata import read_metadata
from dream.line import format_line, is_skipped, parse_log_line, read_leniently
from dream.options.image_output import READ_ENDINGS
from dream.session.foreign_models import NO_LOOKUP, ModelLookup
from dream.session.image_prompts import get_request_of
from dream.session.index_table import VERSION, IndexTable, printable

_BATCH = 500
"""Images that are read between two saves, so that an interrupted first reading is not lost."""
_SETTLED = 2 * 10**9
"""Nanoseconds after which another change of a folder surely gives it another time."""
_LOGGED = "log "
"""Begins the stamp of an image with a line in the log, which counts, whatever the file says."""


class PictureIndex(IndexTable):
    """The index of one folder. Used as a context manager; `update` reads what is new."""

    def __init__(self, folder: Path, lookup: ModelLookup = NO_LOOKUP) -> None:
        digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
        path = user_cache_path("dream", appauthor=False) / "images" / f"{digest}.{VERSION}.sqlite3"
        super().__init__(path)
        self.folder, self._lookup = folder, lookup

    def update(self) -> Iterator[int]:
        """Read what changed in the log and the folder. Yields the number of images to read first,
        if they are many. Raises GalleryError if the folder cannot be read.

        A log that only grew is read from where it ended. A known image without a line in the log
        is looked at again if the folder's own time is another one; it is after files are added,
        removed or replaced, but not when a program writes into one in place.
        """
        names, folder_time = self._list_folder()
        known = dict(self.db.execute("select name, stamp from images"))
        state = dict(self.db.execute("select name, value from state"))
        mark = LogMark(int(state.get("log size", 0)), state.get("log digest", ""))
        lines, mark, whole = self._list_logged(mark)
        wanted = {name: _LOGGED + hash_line(line) for name, line in lines.items()}
        stale = not folder_time or str(folder_time) != state.get("folder time")
        for name in names - wanted.keys():
            logged = known.get(name, "").startswith(_LOGGED)  # the log has no line for it now
            if (logged and whole) or (not logged and (stale or name not in known)):
                wanted[name] = self._stamp(name)
        self._note_gone(names, known, wanted, whole)
        yield from self._read_new(known, wanted, lines)
        state = {
            "folder time": str(folder_time),
            "log size": str(mark.size),
            "log digest": mark.digest,
        }
        with self.db:
            self.db.executemany("insert or replace into state values (?, ?)", state.items())

    def _note_gone(
        self, names: set[str], known: dict[str, str], wanted: dict[str, str], whole: bool
    ) -> None:
        """Forget images that are in neither place, and note which logged ones are deleted or back.
        `whole` tells whether `wanted` has all logged images, not only new ones."""
        there = {name for (name,) in self.db.execute("select name from images where time > 0")}
        forgotten, moved = [], []
        for name, stamp in known.items():
            if stamp.startswith(_LOGGED) and (name in wanted or not whole):
                if (name in there) != (name in names):
                    moved.append((self._time(name), name))
            elif name not in names and name not in wanted:
                forgotten.append((name,))
        with self.db:
            self.db.executemany("delete from images where name = ?", forgotten)
            self.db.executemany("update images set time = ? where name = ?", moved)

    def _read_new(
        self, known: dict[str, str], wanted: dict[str, str], lines: dict[str, str]
    ) -> Iterator[int]:
        """Read the images whose stamp is another one; see `update`."""
        new = [name for name, stamp in wanted.items() if known.get(name) != stamp]
        if len(new) > _BATCH:
            yield len(new)
        for start in range(0, len(new), _BATCH):
            with self.db:
                for name in new[start : start + _BATCH]:
                    line = lines.get(name, "")
                    row = self._describe_logged(name, line) if line else self._describe(name)
                    self.db.execute(
                        "insert or replace into images values (?, ?, ?, ?, ?, ?, ?)",
                        (name, wanted[name], self._time(name), *row),
                    )

    def _list_folder(self) -> tuple[set[str], int]:
        """The names of the image files, and the folder's time in nanoseconds since 1970; 0 for a
        time that a further change may not alter, as it is too new."""
        try:
            changed, now = self.folder.stat().st_mtime_ns, time_ns()
            names = {
                printable(name)
                for name in list_names(self.folder)
                if name[0] != "." and name.lower().endswith(READ_ENDINGS)
            }
        except OSError as error:
            raise GalleryError(f"cannot read {self.folder}: {error.strerror}") from error
        return names, changed if now - changed > _SETTLED else 0

    def _list_logged(self, mark: LogMark) -> tuple[dict[str, str], LogMark, bool]:
        """The line of each image in the log behind a mark, of which the last one of a name counts;
        where it ended; and whether they are those of the whole log."""
        try:
            lines, mark, whole = read_log_after(self.folder / LOG_NAME, mark)
        except GalleryError:
            return {}, LogMark(), True
        found = {
            printable(name): parse_log_line(line).line
            for line in lines
            if not is_skipped(line) and (name := parse_logged_name(line))
        }
        return found, mark, whole

    def _stamp(self, name: str) -> str:
        """Size and time of an image file; empty if there is none."""
        with suppress(OSError):
            status = (self.folder / name).stat()
            return f"{status.st_size} {status.st_mtime_ns}"
        return ""

    def _time(self, name: str) -> float:
        with suppress(OSError):
            return (self.folder / name).stat().st_mtime_ns / 1e9
        return 0

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
        printable(line),
        printable("\n".join(parts).casefold()),
        printable(request.model or ""),
        printable(tool),
    )


def hash_line(line: str) -> str:
    """A short digest of a line; empty for an empty one."""
    return hashlib.sha256(line.encode(errors="replace")).hexdigest()[:16] if line else ""
