"""The folders that are searched for models, in order."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from platformdirs import user_data_path

from dream.core.errors import BadSetting
from dream.core.file_names import is_folder, parse_path, path_exists_at, split_folders

VARIABLE = "DREAM_MODELS_DIR"
"""An environment variable with models folders, for containers and the nodes of a cluster."""

_PACKAGE = Path(__file__).resolve().parents[1]


def find_models_dirs(extra: str | None = None) -> tuple[Path, ...]:
    """The models folders in order of precedence: those of `extra` (--models_dir), those of the
    environment variable DREAM_MODELS_DIR, ./models, the user's data folder, and the shipped models.
    The user's folder is included even before it exists.

    Raises BadSetting if one of the first two is not a folder, BadLine if it is not a valid path.
    """
    dirs: list[Path] = []
    for source, value in (("--models_dir", extra), (VARIABLE, os.environ.get(VARIABLE))):
        for one in split_folders(value or ""):
            chosen = parse_path(one)
            if not is_folder(chosen):
                raise BadSetting(
                    f"{source}: there is no folder {chosen}", "create it, or choose another"
                )
            dirs.append(chosen)
    local = Path("models")
    if local.is_dir():
        dirs.append(local)
    dirs += [user_data_path("dream", appauthor=False) / "models", get_shipped_models_dir()]
    return _remove_duplicates(path.absolute() for path in dirs)


def get_shipped_models_dir() -> Path:
    """The folder of the models that come with dream: in the installed package, or at the top of a
    checkout."""
    installed = _PACKAGE / "shipped"
    return installed if installed.is_dir() else _PACKAGE.parent / "models"


def find_writable_dir(dirs: Iterable[Path]) -> Path:
    """The first folder that is writable or can be created; the last one if there is none."""
    candidates = tuple(dirs)
    return next((path for path in candidates if _is_writable(path)), candidates[-1])


def _is_writable(path: Path) -> bool:
    existing = next(place for place in (path, *path.absolute().parents) if path_exists_at(place))
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _remove_duplicates(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Drop paths that lead to the same folder as an earlier one."""
    unique: dict[Path, Path] = {}
    for path in paths:
        unique.setdefault(path.resolve(), path)
    return tuple(unique.values())
