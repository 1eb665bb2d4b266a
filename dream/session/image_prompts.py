"""Reads an image file's record: its line for the edit line, its prompt for another image. Whoever
wrote the file, the result is one line, never a command, and of limited length."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dream.core.errors import BadLine, GalleryError
from dream.core.request import Request
from dream.core.request_json import parse_request
from dream.gallery import DreamRecord, read_log_line
from dream.gallery.log import format_path
from dream.gallery.metadata import ImageMetadata, read_metadata
from dream.line import format_line, make_typable, parse_line, read_leniently
from dream.options.schedule_table import FORMER
from dream.options.syntax_table import PLAIN
from dream.session.foreign_lines import find_nearest, format_left_out
from dream.session.foreign_models import NO_LOOKUP, ModelLookup
from dream.session.templates import keep_words, protect_words

LONGEST = 32_768
"""Maximum characters of a line in an image. Other programs' lines have less than 10,000; resolving
one of 400,000 took seconds, of fifty million minutes."""


class ImageLine(NamedTuple):
    """The line of an image."""

    line: str
    notes: tuple[str, ...] = ()
    """Who made it, and what the line does not carry."""


def read_line_from(path: Path) -> str:
    """The line of an image alone; see `read_image_line`."""
    return read_image_line(path).line


def read_image_line(path: Path, lookup: ModelLookup = NO_LOOKUP) -> ImageLine:
    """The line of an image, of a grid, or of a record in a text file, safe for the edit line.
    Raises GalleryError if there is none, or it is too long."""
    metadata = read_metadata(path)
    if metadata.grid:
        return ImageLine(make_typable(_limited(metadata.grid, path)))
    if metadata.foreign is not None:
        nearest = find_nearest(metadata.foreign, lookup)
        line = _limited(format_line(nearest.request), path)
        return ImageLine(make_typable(line), (format_left_out(metadata.foreign, nearest),))
    line = make_typable(get_line(metadata.record, path))
    return ImageLine(make_line_typable(line, ours=bool(metadata.record.sha256)))


def make_line_typable(line: str, *, ours: bool) -> str:
    """A recorded line for typing. One of ours from before --schedule or --syntax existed gets
    --schedule=former and --syntax=plain, since without its comment it looks like a new one; one
    with the signs of a template gets --wildcards=off, since these are words."""
    with suppress(BadLine):
        request = parse_line(line)
        if ours:
            line += f" --schedule={FORMER}" if request.schedule is None else ""
            line += f" --syntax={PLAIN}" if request.syntax is None else ""
            request = replace(request, syntax=request.syntax or PLAIN)
        if request.wildcards is None and (off := keep_words(request)):
            line += f" --wildcards={off}"
    return line


def read_logged_line(path: Path, lookup: ModelLookup = NO_LOOKUP) -> str:
    """The line of an image as in a log; for another program's, the comment says who made it and
    what is not carried over. Raises GalleryError, also for a grid."""
    metadata = read_metadata(path)
    if metadata.foreign is None:
        return read_log_line(path, metadata.record, make_typable(get_line(metadata.record, path)))
    nearest = find_nearest(metadata.foreign, lookup)
    line = make_typable(_limited(format_line(nearest.request), path))
    comment = format_left_out(metadata.foreign, nearest).replace(":", "").replace("=", "")
    return f"{format_path(path)}: {line} # {comment}"


def read_request_from(
    path: Path, lookup: ModelLookup = NO_LOOKUP
) -> tuple[Request, tuple[str, ...]]:
    """The request of an image's line, as far as it can be read, and a note for each part that
    cannot. Raises GalleryError."""
    return get_request_of(read_metadata(path), path, lookup)


def get_request_of(
    metadata: ImageMetadata, path: Path, lookup: ModelLookup = NO_LOOKUP
) -> tuple[Request, tuple[str, ...]]:
    """The same for what was read of an image."""
    if metadata.foreign is None:
        return get_request(metadata.record, path)
    nearest = find_nearest(metadata.foreign, lookup)
    _limited(format_line(nearest.request), path)
    return nearest.request, (f"{path.name}: {format_left_out(metadata.foreign, nearest)}",)


def get_request(record: DreamRecord, path: Path) -> tuple[Request, tuple[str, ...]]:
    """The same for a record. Raises GalleryError if its line is too long."""
    former = Request(syntax=PLAIN) if record.sha256 else Request()
    request, unread = read_leniently(make_typable(get_line(record, path)), former)
    notes = tuple(f"{path.name}: {what}" for what in dict.fromkeys(unread))
    return protect_words(request), notes


def get_line(record: DreamRecord, path: Path) -> str:
    """A record's line, built from its request if the line is lost. Raises GalleryError."""
    line = record.line or (format_line(parse_request(record.request)) if record.request else "")
    if not make_typable(_limited(line, path)):  # it may be control characters alone
        raise GalleryError(f"{path} has no record of how it was made")
    return line


def _limited(line: str, path: Path) -> str:
    if len(line) > LONGEST:
        raise GalleryError(
            f"the line in {path} has {len(line):,} characters", f"the limit is {LONGEST:,}"
        )
    return line
