"""Python files in a model's folder that a library would run while it loads the model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dream.errors import ModelError

LIBRARIES = ("diffusers", "transformers")
"""Whose classes a model may be made of. Any other name in model_index.json would be imported."""


def refuse_code(folder: Path, index: Mapping[str, Any]) -> None:
    """Refuse a folder in diffusers layout that brings code, before anything is imported.

    diffusers takes `LIBRARY.py` in a part's folder for the library that model_index.json names
    for the part, `None.py` where it names none; before 0.38 it did so without a question.
    `index` is what model_index.json holds. Raises ModelError with the name of the file.
    """
    for name, row in index.items():
        if not isinstance(row, list) or not row:
            continue
        if not name.isidentifier():
            raise ModelError(f"{folder}: its index names a part {name!r}, which is no folder in it")
        for library in (None, *LIBRARIES, row[0]):
            path = folder / name / f"{library}.py"  # of any length: no file may have such a name
            if str(library).isidentifier() and os.path.lexists(path):
                raise ModelError(
                    f"{folder} is refused: {path} would run while the model is loaded",
                    "weights need no code; get the model from its author again",
                )
