"""Find the models in a folder and its subfolders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dream.catalogue.discovery import INDEX, find_recursive
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.read_model_info import read_model
from dream.core.errors import BadLine, DreamError

_MAX_LISTED = 5
"""How many skipped files are listed one by one."""


@dataclass(frozen=True)
class FolderScan:
    """The models in a folder, and the files that were skipped."""

    models: Mapping[str, ModelInfo]
    """The models by proposed name."""
    left_out: tuple[str, ...]
    """The skipped files and the reason for each, one line each."""

    def describe_left_out(self) -> list[str]:
        """Return at most a few lines about the skipped files."""
        lines = [f"skipped: {reason}" for reason in self.left_out[:_MAX_LISTED]]
        more = len(self.left_out) - _MAX_LISTED
        return [*lines, f"skipped: {more} more"] if more > 0 else lines


def has_several_models(path: Path) -> bool:
    """Whether a path is a folder that may contain models but is not a model itself."""
    return path.is_dir() and not (path / INDEX).is_file()


def scan_folder(folder: Path) -> FolderScan:
    """Find all models in a folder."""
    models: dict[str, ModelInfo] = {}
    left_out: list[str] = []
    for name, path in find_recursive(folder).items():
        try:
            models[name] = read_model(name, path, lambda complaint: None)
        except DreamError as error:
            left_out.append(str(error))
    return FolderScan(models, tuple(left_out))


def refuse_options(folder: Path, count: int, options: list[str]) -> None:
    """Reject options that apply to one model if there are several. Raises BadLine."""
    if options:
        raise BadLine(
            f"{' '.join(options)} applies to one model, but these are {count}",
            hint=f"name a single model in {folder}",
        )
