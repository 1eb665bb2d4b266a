"""Messages about models that cannot be loaded."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import DreamError, ModelError, summarize
from dream.engine.memory.low_memory import is_out_of_memory


@contextmanager
def raise_load_errors(info: ModelInfo) -> Iterator[None]:
    """Convert whatever the libraries raise for a broken model into ModelError: the kinds of errors
    are many, and new ones come. That memory ran out is another matter, and raised as it is."""
    with raise_file_errors(info.name, info.path):
        yield


@contextmanager
def raise_file_errors(name: str, path: Path) -> Iterator[None]:
    """The same for a file or folder at that path, which the person calls so."""
    try:
        yield
    except DreamError:
        raise
    except pickle.UnpicklingError as error:
        raise pickle_error(path) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise load_error(name, path, error) from error


def pickle_error(folder: Path) -> ModelError:
    """The error for a pickle that torch refuses and `check_pickles` did not see: a library may read
    other files of a folder than `find_weights` returns."""
    return ModelError(
        f"{folder} is refused: a pickle in it would run code, or is truncated",
        "use a .safetensors version, or convert it on an isolated machine",
    )


def load_error(name: str, path: Path, error: Exception) -> ModelError:
    """The error for a model that a library cannot build, with the first line of what it says."""
    return ModelError(f"{name} in {path} cannot be loaded: {summarize(error)}")
