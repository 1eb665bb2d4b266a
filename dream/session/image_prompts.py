"""Reads an image file's record: its line for the edit line, its prompt for another image. Whoever
wrote the file, the result is one line, never a command, and of limited length."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from dream.core.errors import BadLine, GalleryError
from dream.core.request import Request
from dream.core.request_json import parse_request
from dream.gallery import DreamRecord, read_log_line, read_record
from dream.line import format_line, make_typable, parse_line, read_leniently
from dream.options.schedule_table import FORMER

LONGEST = 32_768
"""Maximum characters of a line in an image. Other programs' lines have less than 10,000; resolving
one of 400,000 took seconds, of fifty million minutes."""


def read_line_from(path: Path) -> str:
    """The line of an image, safe for the edit line. Raises GalleryError if there is none, or it is
    too long."""
    record = read_record(path)
    return make_line_typable(make_typable(get_line(record, path)), ours=bool(record.sha256))


def make_line_typable(line: str, *, ours: bool) -> str:
    """A recorded line for typing. One of ours from before --schedule existed gets
    --schedule=former, since without its comment it looks like a new one."""
    with suppress(BadLine):
        if ours and parse_line(line).schedule is None:
            return f"{line} --schedule={FORMER}"
    return line


def read_logged_line(path: Path) -> str:
    """The line of an image as in a log. Raises GalleryError."""
    record = read_record(path)
    return read_log_line(path, record, make_typable(get_line(record, path)))


def read_request_from(path: Path) -> tuple[Request, tuple[str, ...]]:
    """The request of an image's line, as far as it can be read, and a note for each part that
    cannot. Raises GalleryError."""
    return get_request(read_record(path), path)


def get_request(record: DreamRecord, path: Path) -> tuple[Request, tuple[str, ...]]:
    """The same for a record. Raises GalleryError if its line is too long."""
    request, unread = read_leniently(make_typable(get_line(record, path)))
    return request, tuple(f"{path.name}: {what}" for what in dict.fromkeys(unread))


def get_line(record: DreamRecord, path: Path) -> str:
    """A record's line, built from its request if the line is lost. Raises GalleryError."""
    line = record.line or (format_line(parse_request(record.request)) if record.request else "")
    if not line:
        raise GalleryError(f"{path} has no record of how it was made")
    if len(line) > LONGEST:
        raise GalleryError(
            f"the line in {path} has {len(line):,} characters", f"the limit is {LONGEST:,}"
        )
    return line
