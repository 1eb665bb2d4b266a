"""Messages about models that cannot be loaded."""

from __future__ import annotations

from pathlib import Path

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError


def pickle_error(folder: Path) -> ModelError:
    """The error for a pickle that torch refuses and `check_pickles` did not see: a library may read
    other files of a folder than `find_weights` returns."""
    return ModelError(
        f"{folder} is refused: a pickle in it would run code, or is truncated",
        "use a .safetensors version, or convert it on an isolated machine",
    )


def load_error(info: ModelInfo, error: Exception) -> ModelError:
    content = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(f"{info.name} in {info.path} cannot be loaded: {content}")
