"""After a crash: pictures that are on disk but not in the log, found and given their lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from dream.gallery.folder import names_in
from dream.gallery.log import (
    LOG_NAME,
    appending,
    grid_line,
    log_line,
    logged_name,
    logged_names,
    one_line,
    shown,
)
from dream.gallery.png import as_record, json_of, read_chunks

FOREIGN_NAME = ".dream_foreign"
"""Lists the PNGs that are not ours, so that they are opened once and not at every start."""


def log_the_unlogged(folder: Path) -> tuple[str, ...]:
    """Gives every unlogged picture of ours its line. Returns the lines. Raises OSError."""
    if not _unlogged(folder):
        return ()
    with appending(folder / LOG_NAME) as tail:
        names = _unlogged(folder)  # again, now that no other program is between picture and line
        torn = tail.torn()
        found = {name: _line(folder / name, torn) for name in names}
        # The line that finishes the torn one comes first; the rest keep their order.
        lines = sorted(filter(None, found.values()), key=lambda line: not line.startswith(torn))
        if lines:
            tail.append(*lines)
    _remember_foreign(folder, [name for name, line in found.items() if line == ""])
    return tuple(lines)


def _unlogged(folder: Path) -> list[str]:
    """The names of PNGs that have no line in the log and are not known to be somebody else's."""
    known = logged_names(folder / LOG_NAME) | _foreign(folder)
    lost = [name for name in {*names_in(folder)} - known if _ours(name)]
    if any(not name.isascii() for name in lost):  # some disks store accents apart from letters
        known = {unicodedata.normalize("NFC", name) for name in known}
        lost = [name for name in lost if unicodedata.normalize("NFC", name) not in known]
    return sorted(lost, key=lambda name: (_written(folder / name), name))


def _ours(name: str) -> bool:
    """Whether we could have given the name: one that a log line can begin with."""
    return name[0] != "." and "\n" not in name and logged_name(f"{name}: ") == name


def _written(path: Path) -> int:
    """When, in nanoseconds, so that lines come in the order the pictures did."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _line(path: Path, torn: str) -> str | None:
    """The log line of one of our pictures or grids; "" for others', None when it cannot be read."""
    try:
        if path.stat().st_size == 0:  # it only held the name of a picture that never came
            path.unlink()
            return None
        chunks = read_chunks(path)
    except OSError:
        return None
    except ValueError:
        return ""
    # Begin where the torn line does, that it may be finished, though another path leads here now.
    folder, slash, _ = torn.removeprefix("# ").partition(".png:")[0].rpartition("/")
    finishing = _line_of(chunks, f"{folder}{slash}{path.name}")
    return finishing if torn and finishing.startswith(torn) else _line_of(chunks, shown(path))


def _line_of(chunks: Mapping[str, str], where: str) -> str:
    """The log line that a PNG of ours was written with; "" for other programs' PNGs."""
    said = json_of(chunks)
    if "grid" in said:
        return grid_line(where, one_line(str(said["grid"])))
    if "Dream" not in chunks or "sha256" not in said:
        return ""
    record = as_record(chunks)
    return log_line(where, one_line(record.line), record.sha256, record.facts)


def _foreign(folder: Path) -> set[str]:
    try:
        text = (folder / FOREIGN_NAME).read_text("utf-8", "surrogateescape")
    except OSError:
        return set()
    return set(text.split("\n"))


def _remember_foreign(folder: Path, names: Iterable[str]) -> None:
    """A mere convenience: where it cannot be written, they are opened again next time."""
    new = {name for name in names if "\n" not in name}
    if new:
        text = "\n".join(sorted(_foreign(folder) | new))
        with suppress(OSError):
            (folder / FOREIGN_NAME).write_text(text, "utf-8", "surrogateescape")
