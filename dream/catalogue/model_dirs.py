"""Where models lie: the folders that are searched, in order."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from platformdirs import user_data_path

from dream.core.errors import BadSetting
from dream.core.file_names import is_folder, parse_path, path_exists_at

_PACKAGE = Path(__file__).resolve().parents[1]


def find_models_dirs(extra: str | None = None) -> tuple[Path, ...]:
    """The models folders, the first found wins: `extra` (--models_dir), ./models, the user's data
    folder, and the shipped models. The user's folder is named even before it exists.

    Raises BadSetting when `extra` is no folder, BadLine when it cannot be one's name.
    """
    dirs: list[Path] = []
    if extra is not None:
        chosen = parse_path(extra)
        if not is_folder(chosen):
            raise BadSetting(
                f"--models_dir: there is no folder {chosen}", "create it, or name another"
            )
        dirs.append(chosen)
    local = Path("models")
    if local.is_dir():
        dirs.append(local)
    dirs += [user_data_path("dream", appauthor=False) / "models", get_shipped_models_dir()]
    return _distinct(path.absolute() for path in dirs)


def get_shipped_models_dir() -> Path:
    """The folder of the models that come with dream: inside an installed package, or at the top
    of a checkout."""
    installed = _PACKAGE / "shipped"
    return installed if installed.is_dir() else _PACKAGE.parent / "models"


def find_writable_dir(dirs: Iterable[Path]) -> Path:
    """The first folder that a file can be put into, or that can be made; the last one if none."""
    candidates = tuple(dirs)
    return next((path for path in candidates if _writable(path)), candidates[-1])


def _writable(path: Path) -> bool:
    standing = next(place for place in (path, *path.absolute().parents) if path_exists_at(place))
    return standing.is_dir() and os.access(standing, os.W_OK | os.X_OK)


def _distinct(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The same folder by another road is listed once, where it comes first."""
    found: dict[Path, Path] = {}
    for path in paths:
        found.setdefault(path.resolve(), path)
    return tuple(found.values())
