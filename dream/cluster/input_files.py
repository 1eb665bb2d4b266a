"""Takes the input images of a task to the machine that runs it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dream.cluster.required_files import get_recipe
from dream.core.errors import InputError
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import IMAGE_FILE_FIELDS, get_image_files, map_image_files
from dream.inputs import read_bytes
from dream.worker.protocol import CountTokensTask, FinishTask, RenderTask, Task


def read_input_files(task: Task) -> dict[str, bytes]:
    """The content of each input image of a task, by its path in the recipe. Raises InputError."""
    recipe = get_recipe(task)
    if recipe is None:
        return {}
    values = (getattr(recipe, name) for name in IMAGE_FILE_FIELDS)
    paths = dict.fromkeys(path for value in values for path in get_image_files(value))
    return {path: read_bytes(Path(path)) for path in paths}


def place_input_files(files: Mapping[str, bytes], folder: Path) -> dict[str, str]:
    """Write files into a folder, named by their content; from the paths they had to those they have
    now. A file that is there already is left alone. Raises InputError."""
    places = {}
    for path, content in files.items():
        name = hashlib.sha256(content).hexdigest() + Path(path).suffix.lower()
        try:
            _write_once(folder / name, content)
        except OSError as error:
            raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
        places[path] = str(folder / name)
    return places


def with_input_files(task: Task, places: Mapping[str, str]) -> Task:
    """A task whose recipe names its input images by other paths."""
    match task:
        case RenderTask(recipe) | CountTokensTask(recipe):
            return replace(task, recipe=_map_files(recipe, places))
        case FinishTask(picture):
            return replace(task, picture=rename_input_files(picture, places))
    return task


def rename_input_files(picture: Picture, places: Mapping[str, str]) -> Picture:
    """An image whose recipe names its input images by other paths."""
    return replace(picture, recipe=_map_files(picture.recipe, places)) if places else picture


def _map_files(recipe: Recipe, places: Mapping[str, str]) -> Recipe:
    change: Callable[[str], str] = lambda path: places.get(path, path)  # noqa: E731
    values = {name: getattr(recipe, name) for name in IMAGE_FILE_FIELDS}
    changed: dict[str, Any] = {
        name: map_image_files(value, change) for name, value in values.items() if value
    }
    return replace(recipe, **changed)


def _write_once(path: Path, content: bytes) -> None:
    if path.is_file():
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except OSError:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
