"""What lies in the models folders where models are looked for, and cannot be one: links that lead
nowhere, and files of formats that are not supported. Listed with a reason, not passed over."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dream.catalogue.discovery import FILES, model_places
from dream.core.errors import ModelError

_UNSUPPORTED = (".gguf",)


def find_unlisted(dirs: Sequence[Path]) -> dict[Path, ModelError]:
    """Those files and links, by path, and why each is no model."""
    found: dict[Path, ModelError] = {}
    for folder in dirs:
        for pattern in model_places():
            with suppress(OSError):  # a folder we may not enter
                for path in sorted(folder.glob(pattern)):
                    if (why := _why_not(path)) is not None:
                        found.setdefault(path, why)
    return found


def _why_not(path: Path) -> ModelError | None:
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        return None
    if path.is_symlink() and not path.exists():
        if suffix in (*FILES, *_UNSUPPORTED) or not suffix:
            target = path.readlink()
            return ModelError(
                f"{path} is a link to {target}, which does not exist",
                "link it again, or remove the link",
            )
        return None
    if suffix in _UNSUPPORTED and path.is_file():
        return _refused(path)
    return None


def _refused(path: Path) -> ModelError | None:
    from dream.catalogue.detect import read_header  # a shelf of folders alone does without

    try:
        read_header(path)
    except ModelError as error:
        return error
    return ModelError(f"{path} has the name of another format", "call it .safetensors or .ckpt")
