"""Lists what is wrong beside models: links to files that do not exist, and files of text encoders
and VAEs that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dream.catalogue import upscalers
from dream.catalogue.discovery import model_places
from dream.catalogue.layouts import DENOISERS, TEXT_ENCODERS, VAES, list_folders
from dream.catalogue.vaes import VAE_FILES, VAE_FOLDERS
from dream.catalogue.walk_files import list_matches
from dream.core.errors import ModelError

_OTHER_PLACES = (*VAE_FOLDERS, upscalers.FOLDER)
_SUFFIXES = (*VAE_FILES, *upscalers.SUFFIXES)


_MAX_FILES = 500
"""Files of text encoders and VAEs that are looked at."""


def list_unreadable_parts(dirs: Sequence[Path]) -> tuple[str, ...]:
    """What is wrong with the files of text encoders and VAEs, a line each."""
    # Imported late: a prompt starts without it.
    from dream.catalogue.companions import list_weight_files

    folders = (*list_folders(TEXT_ENCODERS, dirs), *list_folders(VAES, dirs))
    files = [file for folder in folders for file in list_weight_files(folder)][:_MAX_FILES]
    return tuple(filter(None, map(_describe_error, files)))


def _describe_error(file: Path) -> str:
    from dream.catalogue.detect.require import require_safe

    try:
        require_safe(file)
    except ModelError as error:
        return str(error)
    return ""


def find_unlisted(dirs: Sequence[Path]) -> dict[Path, ModelError]:
    """These links by path, and why each is not a model."""
    reasons: dict[Path, ModelError] = {}
    others = tuple(f"{place}/*" for place in _OTHER_PLACES)
    places = [(folder, (*model_places(), *others)) for folder in dirs]
    for kind in (DENOISERS, TEXT_ENCODERS, VAES):
        places += [(folder, ("**/*",)) for folder in list_folders(kind, dirs)]
    for folder, patterns in places:
        for pattern in patterns:
            with suppress(OSError):  # a folder without read permission
                for path in list_matches(folder, pattern):
                    if (why := _why_not(path)) is not None:
                        reasons.setdefault(path, why)
    return reasons


def _why_not(path: Path) -> ModelError | None:
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        return None
    if path.is_symlink() and not path.exists():
        if suffix in _SUFFIXES or not suffix:
            target = path.readlink()
            return ModelError(
                f"{path} is a link to {target}, which does not exist",
                "fix or remove the link",
            )
        return None
    return None
