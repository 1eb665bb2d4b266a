"""Small copies of images, in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from dream.core.errors import GalleryError
from dream.core.own_files import new_beside
from dream.inputs import open_picture
from dream.web.picture_list import ListedPicture

SIDE = 384
"""Pixels of the longer side, at most."""


def make_thumbnail(picture: ListedPicture) -> Path:
    """The thumbnail's file, made if there is none of this image as it is now. Raises InputError for
    an image that cannot be read, GalleryError if the cache cannot be written."""
    key = f"{picture.path.absolute()}\0{picture.stamp}\0{SIDE}"
    digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
    folder = user_cache_path("dream", appauthor=False) / "thumbnails" / digest[:2]
    path = folder / f"{digest}.webp"
    if path.is_file():
        return path
    image = open_picture(picture.path).image
    image.thumbnail((SIDE, SIDE))
    temporary = None
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary, handle = new_beside(path)
        with os.fdopen(handle, "wb") as file:
            image.save(file, "WEBP", quality=82, method=2)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()
        raise GalleryError(f"cannot write thumbnails: {error.strerror or error}") from error
    return path
