"""What a folder holds that is no model itself: the models in it, however deep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dream.catalogue.discovery import INDEX, find_recursive
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.read_model_info import read_model
from dream.core.errors import BadLine, DreamError

_TOLD = 5
"""How many are told of one by one."""


@dataclass(frozen=True)
class FolderScan:
    """The models in a folder, and what else looked like one."""

    models: Mapping[str, ModelInfo]
    """By the names proposed."""
    left_out: tuple[str, ...]
    """What is none, and why, each a line."""

    def describe_left_out(self) -> list[str]:
        """What was left out, in a few lines."""
        lines = [f"left out: {why}" for why in self.left_out[:_TOLD]]
        more = len(self.left_out) - _TOLD
        return [*lines, f"left out: {more} more"] if more > 0 else lines


def has_several_models(path: Path) -> bool:
    """Whether a path is a folder that may hold models, and is none."""
    return path.is_dir() and not (path / INDEX).is_file()


def scan_folder(folder: Path) -> FolderScan:
    """All that can be taken from a folder."""
    models: dict[str, ModelInfo] = {}
    left_out: list[str] = []
    for name, path in find_recursive(folder).items():
        try:
            models[name] = read_model(name, path, lambda complaint: None)
        except DreamError as error:
            left_out.append(str(error))
    return FolderScan(models, tuple(left_out))


def refuse_options(folder: Path, count: int, options: list[str]) -> None:
    """Raises BadLine for what is said of one model, where several are meant."""
    if options:
        raise BadLine(
            f"{' '.join(options)} is said of one model, and these are {count}",
            hint=f"name one of those in {folder}",
        )
