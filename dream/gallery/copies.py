"""Copies of input images, so that a folder with a log is complete."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from dream.core.own_files import refuse_link
from dream.gallery.durable_files import open_exclusive, raise_gallery_errors, sync_folder

INPUTS_FOLDER = "inputs"
"""Next to the log."""

_SHOWN = 16  # hex digits of the SHA-256 in the copy's name


def save_copy(path: Path, folder: Path) -> Path:
    """Copy a file durably into a folder, named by its SHA-256; an identical copy is reused. Raises
    GalleryError if it cannot be read or written."""
    with raise_gallery_errors(folder):
        refuse_link(folder)
        return save_bytes(path.read_bytes(), path.suffix.lower(), folder)


def save_bytes(data: bytes, suffix: str, folder: Path) -> Path:
    """Write a file durably into a folder, named by its SHA-256 with this suffix; an identical one
    is reused. Raises GalleryError if it cannot be written."""
    with raise_gallery_errors(folder):
        refuse_link(folder)
        copy = folder / f"{hashlib.sha256(data).hexdigest()[:_SHOWN]}{suffix}"
        if copy.is_file() and copy.stat().st_size == len(data) and copy.read_bytes() == data:
            return copy
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".dream-{secrets.token_hex(8)}.tmp"
        with open_exclusive(temporary) as file:
            with os.fdopen(file, "wb", closefd=False) as out:
                out.write(data)
            os.fsync(file)
            temporary.replace(copy)
        sync_folder(folder)
    return copy
