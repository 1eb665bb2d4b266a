"""Recovery after a crash: images that are on disk but not in the log get their lines.

Only those that this user's dream wrote. An image that was copied here gets no line, whatever its
PNG contains, even if dream wrote it elsewhere.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dream.core.own_files import open_own, read_own, replace_own
from dream.gallery.containers.completeness import is_complete
from dream.gallery.durable_files import remove_if_held_in_vain
from dream.gallery.folder import list_names
from dream.gallery.log import (
    LOG_NAME,
    format_grid_line,
    format_log_line,
    format_path,
    join_lines,
    open_for_append,
    parse_logged_name,
    read_logged_names,
)
from dream.gallery.png import is_ours, parse_json_chunk, parse_record, read_chunks

FOREIGN_NAME = ".dream_foreign"
"""Lists the images of other programs, `SIZE TIME NAME` a line, so that they are opened again only
if they have changed: an image may have been half copied before."""
_ENDING = re.compile(r"\.(?:png|jpg|webp|avif):")
_LONGEST = 1 << 24
"""Maximum bytes of that list."""


@dataclass(frozen=True)
class Recovered:
    """What recovery found in a folder."""

    lines: tuple[str, ...] = ()
    """The added log lines."""
    unsigned: int = 0
    """Number of images without a log line that dream wrote, but without the signature of this
    installation. They are counted when they are first seen, if the list of other programs' files
    can be written."""


@dataclass(frozen=True)
class _Scan:
    line: str
    """The log line of an image or grid of this installation; "" for others."""
    unsigned: bool = False


def log_missing_images(folder: Path) -> Recovered:
    """Add the missing log lines of this installation's images. Raises OSError."""
    log = folder / LOG_NAME
    if os.path.lexists(log):
        # an error is raised before anything is generated
        os.close(open_own(log, os.O_RDWR | os.O_APPEND))
    if not _unlogged(folder):
        return Recovered()
    with open_for_append(log) as tail:
        # again: now no other program is between writing an image and its line
        names = _unlogged(folder)
        partial = tail.read_partial_line()
        scanned = {name: scan for name in names if (scan := _scan(folder / name, partial))}
        # The line that completes the partial one comes first; the others keep their order.
        added = (scan.line for scan in scanned.values() if scan.line)
        lines = sorted(added, key=lambda line: not line.startswith(partial))
        if lines:
            tail.append(*lines)
    _remember_foreign(folder, [name for name, scan in scanned.items() if not scan.line])
    return Recovered(tuple(lines), sum(scan.unsigned for scan in scanned.values()))


def _unlogged(folder: Path) -> list[str]:
    """The names of PNGs that have no line in the log and are not known to be from elsewhere."""
    foreign = _foreign(folder)
    same = {name for name, stamp in foreign.items() if stamp == _stamp(folder / name)}
    known = read_logged_names(folder / LOG_NAME) | same
    missing = [name for name in {*list_names(folder)} - known if _is_dream_name(name)]
    # some disks store accents separately from letters
    if any(not name.isascii() for name in missing):
        known = {unicodedata.normalize("NFC", name) for name in known}
        missing = [name for name in missing if unicodedata.normalize("NFC", name) not in known]
    return sorted(missing, key=lambda name: (_modified_at(folder / name), name))


def _is_dream_name(name: str) -> bool:
    """Whether dream could have given this name: one that can begin a log line."""
    return name[0] != "." and "\n" not in name and parse_logged_name(f"{name}: ") == name


def _modified_at(path: Path) -> int:
    """The modification time in nanoseconds, so that lines have the order of the images; 0 if
    unknown."""
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0


def _stamp(path: Path) -> str:
    """Size and time of a file, which change if it does; "" if it cannot be read."""
    try:
        status = path.lstat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _scan(path: Path, partial: str) -> _Scan | None:
    """What a PNG contains; None if it cannot be read."""
    try:
        # dream writes no links, and opening a pipe would block
        if not stat.S_ISREG(path.lstat().st_mode):
            return _Scan("")
        if remove_if_held_in_vain(path):
            return None
        chunks = read_chunks(path)
        whole = is_complete(path)
    except OSError:
        return None
    except ValueError:
        return _Scan("")
    if not is_ours(chunks):
        record = parse_record(chunks)
        return _Scan("", unsigned=bool(record.line and record.sha256))
    if not whole:  # a copy that has not arrived: looked at again when it has changed
        return _Scan("")
    return _Scan(_complete(partial, path, chunks) or _line_of(chunks, format_path(path)))


def _complete(partial: str, path: Path, chunks: Mapping[str, str]) -> str:
    """The image's line with the path that the partial line begins with, which may lead elsewhere
    now; "" if that is not the image's line."""
    folder, slash, _ = _ENDING.split(partial.removeprefix("# "), maxsplit=1)[0].rpartition("/")
    line = _line_of(chunks, f"{folder}{slash}{path.name}")
    return line if partial and line.startswith(partial) else ""


def _line_of(chunks: Mapping[str, str], where: str) -> str:
    """The log line that a PNG of this installation was written with; "" for one without."""
    document = parse_json_chunk(chunks)
    if "grid" in document:
        return format_grid_line(where, join_lines(str(document["grid"])))
    record = parse_record(chunks)
    if not record.line or not record.sha256:
        return ""
    return format_log_line(where, join_lines(record.line), record.sha256, record.facts)


def _foreign(folder: Path) -> dict[str, str]:
    """The stamps of the files that other programs wrote, by name."""
    try:
        text = read_own(folder / FOREIGN_NAME, _LONGEST).decode(errors="surrogateescape")
    except OSError:
        return {}
    rows = (line.split(" ", 2) for line in text.split("\n"))
    return {row[2]: f"{row[0]} {row[1]}" for row in rows if len(row) == 3}


def _remember_foreign(folder: Path, names: Iterable[str]) -> None:
    """Remember files of other programs. If the list cannot be written, they are opened again next
    time."""
    new = {name: _stamp(folder / name) for name in names}
    if new:
        known = {**_foreign(folder), **new}
        rows = (f"{stamp} {name}\n" for name, stamp in sorted(known.items()) if stamp)
        with suppress(OSError):
            replace_own(folder / FOREIGN_NAME, "".join(rows).encode(errors="surrogateescape"))
