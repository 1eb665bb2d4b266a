"""Reads all metadata of an image file, whichever program wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dream.core.bounded_reading import read_bounded
from dream.core.errors import GalleryError
from dream.gallery.containers import ImageText, read_image_text
from dream.gallery.containers.image_text import XMP
from dream.gallery.folder import suggest_names
from dream.gallery.png import (
    RECORD,
    XMP_ELEMENTS,
    DreamRecord,
    get_chunks,
    has_record,
    parse_json_chunk,
    parse_record,
)
from dream.gallery.readers import ForeignRecord, read_foreign, read_foreign_text
from dream.gallery.readers.read_foreign import LARGEST_SIDE_FILE

TEXT_ENDINGS = (".txt", ".json")
"""Endings of files that hold a record without an image, in lower case."""
_OURS = ("dream", RECORD)


@dataclass(frozen=True, kw_only=True)
class ImageMetadata:
    """The metadata of an image file."""

    format: str
    """"PNG", "JPEG", "WebP", "AVIF"; "text" for a record alone."""
    width: int
    height: int
    """In pixels."""
    size: int
    """Size of the file in bytes."""
    record: DreamRecord
    """dream's record; empty if there is none."""
    foreign: ForeignRecord | None
    """Another program's record, if there is none of dream's."""
    grid: str
    """The line whose images a grid of dream shows; empty for other images."""
    others: Mapping[str, str]
    """Other programs' texts by name, unchanged."""

    @property
    def has_record(self) -> bool:
        """Whether it says how it was made."""
        return bool(self.record.line or self.record.request or self.foreign)


def read_metadata(path: Path) -> ImageMetadata:
    """Read the metadata, but no pixels, except to look for text hidden in them. Raises GalleryError
    if there is no such file or it has none of these formats."""
    try:
        if path.suffix.lower() in TEXT_ENDINGS:
            return _read_text(path)
        image = read_image_text(path)
    except FileNotFoundError as error:
        raise GalleryError(f"there is no {path}", suggest_names(path)) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not a complete PNG, JPEG, WebP or AVIF"
        raise GalleryError(f"cannot read {path}: {why}") from error
    return _gather(path, image)


def _gather(path: Path, image: ImageText) -> ImageMetadata:
    chunks = get_chunks(image)
    record = parse_record(chunks)
    grid = parse_json_chunk(chunks).get("grid")
    ours = grid is not None or has_record(chunks, record)
    return ImageMetadata(
        format=image.format,
        width=image.width,
        height=image.height,
        size=image.size,
        record=record,
        foreign=None if ours else read_foreign(path, image),
        grid=grid if isinstance(grid, str) else "",
        others={name: text for name, text in chunks.items() if not _is_ours(name, text)},
    )


def _is_ours(name: str, text: str) -> bool:
    """Whether a text is dream's own, in a PNG or as XMP."""
    return name.casefold() in _OURS or (name == XMP and XMP_ELEMENTS[RECORD] in text)


def _read_text(path: Path) -> ImageMetadata:
    """The record in a text file. Raises OSError."""
    text = read_bounded(path, LARGEST_SIDE_FILE).decode("utf-8", "replace")
    return ImageMetadata(
        format="text",
        width=0,
        height=0,
        size=len(text.encode(errors="replace")),
        record=DreamRecord(""),
        foreign=read_foreign_text(text),
        grid="",
        others={},
    )
