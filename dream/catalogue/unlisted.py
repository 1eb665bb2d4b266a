"""Lists files in the models folders that cannot be models, VAEs or upscalers, with the reason:
dangling links, and formats that are not supported."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dream.catalogue import upscalers
from dream.catalogue.discovery import model_places
from dream.catalogue.vaes import VAE_FILES, VAE_FOLDERS
from dream.core.errors import ModelError

_UNSUPPORTED = (".gguf",)
_OTHER_PLACES = (*VAE_FOLDERS, upscalers.FOLDER)
_SUFFIXES = (*VAE_FILES, *upscalers.SUFFIXES, *_UNSUPPORTED)


def find_unlisted(dirs: Sequence[Path]) -> dict[Path, ModelError]:
    """These files and links by path, and why each is not a model."""
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
    if suffix in _UNSUPPORTED and path.is_file():
        return _explain_gguf(path)
    return None


def _explain_gguf(path: Path) -> ModelError | None:
    from dream.catalogue.detect import read_header  # imported late: folders do not need it

    try:
        read_header(path)
    except ModelError as error:
        return error
    return ModelError(f"{path} is not a GGUF file", "rename it to .safetensors or .ckpt")
