"""The images that the server shows: those of its folder, by name, newest first.

A name that a client sends is looked up in this list and never made into a path.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dream.gallery import INPUTS_FOLDER, LOG_NAME
from dream.gallery.gallery import INTERMEDIATES_FOLDER
from dream.line.words import quote_value
from dream.options.image_output import READ_ENDINGS

_DEEPEST = 3
"""Folders within folders that are searched; --prompt_as_dir makes one level."""
_MOMENT = 10**9
"""Nanoseconds: a folder that changed later than so long ago is read again."""
_DIGITS = 30
_MAX_OFFERS = 50
_UPLOAD = re.compile(r"inputs/[0-9a-f]{16}\.[a-z0-9]{2,5}")
MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
}


@dataclass(frozen=True)
class ListedPicture:
    """An image file below the served folder."""

    name: str
    """Its path below that folder, with forward slashes; usually a file name."""
    path: Path
    size: int
    time: int
    """When it was written, in nanoseconds since 1970."""

    @property
    def cursor(self) -> str:
        """Where it stands in the list; older ones come after it."""
        return f"{self.time}-{self.name}"

    @property
    def stamp(self) -> str:
        """Changes if the file does."""
        return f"{self.time:x}-{self.size:x}"


@dataclass(frozen=True)
class _Snapshot:
    """What was there when the folders were read."""

    stamps: dict[Path, int]
    """When each folder last changed."""
    pictures: list[ListedPicture]
    """Newest first."""
    by_name: dict[str, ListedPicture]


class PictureList:
    """The images of a folder and of those below it that have a log of dream. The folders are read
    again when one of them changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._known: _Snapshot | None = None

    def newest_first(self) -> list[ListedPicture]:
        """All images."""
        return self._read().pictures

    def page(self, before: str, count: int) -> tuple[list[ListedPicture], str]:
        """So many images, the newest that are older than a cursor; and the cursor of the next page,
        empty at the end."""
        pictures = self.newest_first()
        time, _, name = before.partition("-")
        if before and time.isascii() and time.isdecimal() and len(time) < _DIGITS:
            pictures = [one for one in pictures if (one.time, one.name) < (int(time), name)]
        page = pictures[:count]
        return page, page[-1].cursor if len(pictures) > count else ""

    def find(self, name: str) -> ListedPicture | None:
        """The image of that name; None if the list has none."""
        return self._read().by_name.get(name)

    def find_input(self, name: str) -> Path | None:
        """The file of a listed image or an upload; None if there is neither."""
        if _UPLOAD.fullmatch(name):
            path = self.folder / name
            is_ours = not path.parent.is_symlink() and not path.is_symlink() and path.is_file()
            return path if is_ours else None
        found = self.find(name)
        return found.path if found else None

    def _read(self) -> _Snapshot:
        with self._lock:
            known = self._known
            if known is None or any(_stamp_of(path) != at for path, at in known.stamps.items()):
                known = _Snapshot({}, [], {})
                _walk(self.folder, "", 0, known)
                known.pictures.sort(key=lambda one: (one.time, one.name), reverse=True)
                known.by_name.update((one.name, one) for one in known.pictures)
                # A file written in the same moment does not change the folder's time again.
                is_old = time.time_ns() - max(known.stamps.values(), default=0) > _MOMENT
                self._known = known if is_old else None
            return known


class ListedFiles:
    """A FileFinder that offers listed images only."""

    def __init__(self, pictures: PictureList) -> None:
        self._pictures = pictures

    def find_values(self, kind: str, typed: str) -> Iterable[str]:
        """Images whose names begin so, newest first; no other files."""
        if kind not in ("picture", "png"):
            return ()
        listed = self._pictures.newest_first()
        return [one.name for one in listed if one.name.startswith(typed)][:_MAX_OFFERS]

    def find_arguments(self, kind: str, typed: str) -> Iterable[tuple[str, str]]:
        """The same for a command."""
        return [(quote_value(name), name) for name in self.find_values(kind, typed)]


def _stamp_of(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _walk(folder: Path, prefix: str, depth: int, found: _Snapshot) -> None:
    found.stamps[folder] = _stamp_of(folder)
    try:
        pictures, below = _read_folder(folder, prefix, depth)
    except OSError:
        return
    found.pictures.extend(pictures)
    for child in below:
        _walk(child, f"{prefix}{child.name}/", depth + 1, found)


def _read_folder(folder: Path, prefix: str, depth: int) -> tuple[list[ListedPicture], list[Path]]:
    """The images of a folder, and the folders below it that have a log. Raises OSError."""
    pictures, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.name.isprintable():
                continue
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - 10,000 of them
                if entry.is_file(follow_symlinks=False) and ending in READ_ENDINGS:
                    path = folder / entry.name
                    pictures.append(
                        ListedPicture(prefix + entry.name, path, status.st_size, status.st_mtime_ns)
                    )
                elif (
                    depth < _DEEPEST
                    and entry.is_dir(follow_symlinks=False)
                    and entry.name not in (INPUTS_FOLDER, INTERMEDIATES_FOLDER)
                    and (folder / entry.name / LOG_NAME).is_file()
                ):
                    folders.append(folder / entry.name)
    return pictures, folders
