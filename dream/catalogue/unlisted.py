"""Lists links in the models folders to models, VAEs or upscalers that do not exist."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dream.catalogue import upscalers
from dream.catalogue.discovery import model_places
from dream.catalogue.vaes import VAE_FILES, VAE_FOLDERS
from dream.core.errors import ModelError

_OTHER_PLACES = (*VAE_FOLDERS, upscalers.FOLDER)
_SUFFIXES = (*VAE_FILES, *upscalers.SUFFIXES)


def find_unlisted(dirs: Sequence[Path]) -> dict[Path, ModelError]:
    """These links by path, and why each is not a model."""
    reasons: dict[Path, ModelError] = {}
    for folder in dirs:
        for pattern in (*model_places(), *(f"{place}/*" for place in _OTHER_PLACES)):
            with suppress(OSError):  # a folder without read permission
                for path in sorted(folder.glob(pattern)):
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
