"""Keeps images that clients send."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from dream.core.errors import InputError
from dream.gallery import INPUTS_FOLDER
from dream.gallery.copies import save_bytes
from dream.inputs import LoadedImage, open_picture

_ENDINGS = {
    b"\x89PNG\r\n\x1a\n": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"BM": ".bmp",
}
_OTHER = ".img"


@dataclass(frozen=True)
class StoredUpload:
    """An image in `inputs/`."""

    name: str
    """The handle: `inputs/0123456789abcdef.png`."""
    path: Path
    width: int
    height: int
    """Pixels, upright."""


def store_upload(data: bytes, folder: Path) -> StoredUpload:
    """Keep an image next to a folder's log, named by its content. Raises InputError if it is not an
    image, GalleryError if it cannot be written."""
    suffix = _ending_of(data)
    size = open_upload(data).image.size
    path = save_bytes(data, suffix, folder / INPUTS_FOLDER)
    return StoredUpload(f"{INPUTS_FOLDER}/{path.name}", path, *size)


def open_upload(data: bytes) -> LoadedImage:
    """The image in a file that a client sent, without keeping it. Raises InputError."""
    with tempfile.NamedTemporaryFile(suffix=_ending_of(data)) as file:
        file.write(data)
        file.flush()
        try:
            return open_picture(Path(file.name))
        except InputError as error:
            text = error.message.replace(file.name, "the upload")
            raise InputError(text, error.hint) from None


def _ending_of(data: bytes) -> str:
    for head, ending in _ENDINGS.items():
        if data.startswith(head):
            return ending
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    if data[4:8] == b"ftyp":
        return ".avif" if data[8:12] in (b"avif", b"avis") else ".heic"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return ".tif"
    return _OTHER
