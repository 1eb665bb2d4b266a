"""Reads model_index.json: the components of a model in diffusers layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import diffusers
from diffusers.utils import is_sentencepiece_available

from dream.catalogue.code_check import OWN_CLASSES, may_use, refuse_code
from dream.catalogue.config_limits import check_model_folder
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError

SKIPPED_COMPONENTS = ("safety_checker", "image_encoder", "feature_extractor", "depth_estimator")
"""Optional components that take memory and are not needed to generate from a prompt."""


Parts = Mapping[str, tuple[str, str]]
"""Library and class of components, by name."""


@dataclass(frozen=True)
class Index:
    """The content of model_index.json."""

    pipeline: str
    parts: Parts
    """The components that exist and are loaded."""
    absent: tuple[str, ...]
    """Components that do not exist, or are not loaded."""
    refines: bool = False
    """Whether it is SDXL's refiner."""

    @property
    def libraries(self) -> Mapping[str, str]:
        """Of the components, by name."""
        return {name: library for name, (library, _) in self.parts.items()}


def read_index(folder: Path) -> Index:
    """Read model_index.json in a folder. Raises ModelError."""
    try:
        content = read_json(folder / "model_index.json")
        pipeline = content["_class_name"]
        rows = {name: row for name, row in content.items() if _is_component(row)}
        absent = {
            name for name, row in rows.items() if row[0] is None or name in SKIPPED_COMPONENTS
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder / 'model_index.json'} cannot be read",
            "a model is a folder in diffusers layout",
        ) from error
    check_model_folder(folder)
    refuse_code(folder, content)
    wanted = [name for name in rows if name not in absent]
    for name in wanted:
        library = rows[name][0]
        if not may_use(library, rows[name][-1]):
            raise ModelError(
                f"{folder}: its {name} would run code from {library}, which is not allowed"
            )
        if library in OWN_CLASSES and not is_sentencepiece_available():
            raise ModelError(
                f"{folder}: its {name} needs sentencepiece, which is not installed",
                "pip install sentencepiece",
            )
    if not isinstance(pipeline, str) or not hasattr(diffusers, pipeline):
        raise ModelError(
            f"{folder} needs a {pipeline}, which the installed diffusers does not have"
        )
    for name in wanted:
        _check_part(folder, name)
    refines = bool(content.get("requires_aesthetics_score"))
    parts = {name: (str(rows[name][0]), str(rows[name][1])) for name in wanted}
    return Index(pipeline, parts, tuple(absent), refines)


def _is_component(row: object) -> bool:
    """Whether a value of model_index.json is a component; a list of numbers is a setting."""
    return isinstance(row, list) and not (row and all(isinstance(value, int) for value in row))


def _check_part(folder: Path, name: str) -> None:
    """A tokenizer without its vocabulary would load, and map every word to nothing."""
    part = folder / name
    vocabularies = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")
    if not part.is_dir():
        raise ModelError(f"{folder}: its {name} is missing", "copy the whole folder again")
    if name.startswith("tokenizer") and not any(any(part.glob(v)) for v in vocabularies):
        raise ModelError(f"{part} has no vocabulary", "copy the whole folder again")
