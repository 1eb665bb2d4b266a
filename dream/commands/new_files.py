"""Creates files beside an image, with names that overwrite nothing."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from dream.core.errors import GalleryError


def create_files_beside(image: Path, *kinds: str) -> tuple[Path, ...]:
    """Create an empty PNG for each kind, as `cat.mask.png` beside `cat.png`; with a number,
    `cat.mask.02.png`, where one of the names is taken. Raises GalleryError."""
    for number in count(1):
        again = f".{number:02}" if number > 1 else ""
        paths = tuple(image.with_name(f"{image.stem}.{kind}{again}.png") for kind in kinds)
        if _create_all(paths):
            return paths
    raise AssertionError("numbers never end")


def _create_all(paths: tuple[Path, ...]) -> bool:
    """Create all of them, or none where one exists. Raises GalleryError."""
    for done, path in enumerate(paths):
        try:
            path.open("xb").close()
        except OSError as error:
            for created in paths[:done]:
                created.unlink()
            if isinstance(error, FileExistsError):
                return False
            raise GalleryError(f"cannot write {path}: {error.strerror}") from error
    return True
