"""Reads all metadata of a PNG, whichever program wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dream.core.errors import GalleryError
from dream.gallery.folder import suggest_names
from dream.gallery.png import RECORD, DreamRecord, parse_record, read_chunks

_OURS = ("dream", RECORD)
_HEAD = 24
"""Bytes up to a PNG's height: signature, length and name of the first chunk, width, height."""


@dataclass(frozen=True, kw_only=True)
class ImageMetadata:
    """The metadata of a PNG."""

    width: int
    height: int
    """In pixels."""
    size: int
    """Size of the file in bytes."""
    record: DreamRecord
    """dream's record; empty if there is none."""
    others: Mapping[str, str]
    """Other programs' text chunks, unchanged."""


def read_metadata(path: Path) -> ImageMetadata:
    """Read the metadata, no pixels. Raises GalleryError if the file is missing or is not a PNG."""
    try:
        chunks = read_chunks(path)
        with path.open("rb") as file:
            head = file.read(_HEAD)
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise GalleryError(f"there is no {path}", suggest_names(path)) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not a complete PNG"
        raise GalleryError(f"cannot read {path}: {why}") from error
    return ImageMetadata(
        width=int.from_bytes(head[16:20], "big"),
        height=int.from_bytes(head[20:24], "big"),
        size=size,
        record=parse_record(chunks),
        others={name: text for name, text in chunks.items() if name.casefold() not in _OURS},
    )
