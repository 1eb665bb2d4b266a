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
        for line in lines:
            tail.append(line)
    _remember_foreign(folder, [name for name, line in found.items() if line == ""])
    return tuple(lines)


def _unlogged(folder: Path) -> list[str]:
    """The names of PNGs that have no line in the log and are not known to be somebody else's."""
    known = {_normal(name) for name in logged_names(folder / LOG_NAME) | _foreign(folder)}
    present = (name for name in names_in(folder) if name.endswith(".png") and name[0] != ".")
    return sorted(name for name in present if _normal(name) not in known)


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
    if logged_name(torn) == path.name:  # begin as it does, though it was written from elsewhere
        return _line_of(chunks, torn.removeprefix("# ").partition(".png: ")[0] + ".png")
    return _line_of(chunks, shown(path))


def _line_of(chunks: Mapping[str, str], where: str) -> str:
    """The log line that a PNG of ours was written with; "" for other programs' PNGs."""
    said = json_of(chunks)
    if "grid" in said:
        return grid_line(where, one_line(str(said["grid"])))
    if "Dream" not in chunks or "sha256" not in said:
        return ""
    record = as_record(chunks)
    return log_line(where, one_line(record.line), record.sha256, record.facts.get("weights", ""))


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


def _normal(name: str) -> str:
    """One spelling of accents: some disks store them apart from their letters."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)
