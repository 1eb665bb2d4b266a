"""The weights of an upscaler, out of any file that people keep them in."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dream.catalogue.detect import Header, read_header
from dream.catalogue.detect.pickles import IGNORED_GLOBALS, MAX_NESTING, StubObject
from dream.catalogue.detect.upscaler_architectures import NESTS, strip_prefixes
from dream.core.errors import ModelError

Weights = Mapping[str, Tensor]

_SAFER = "get it as .safetensors, or convert it on a machine you can lose"


def read_upscaler_weights(path: Path) -> Weights:
    """The tensors of a file by name, without what a trainer put around them or before each name;
    by its content, whatever its suffix. A pickle is walked before it is opened.

    Raises ModelError when the file is damaged, holds something else, or would run code.
    """
    header = read_header(path)
    _refuse_code(header)
    found = _load_safetensors(path) if header.format == "safetensors" else _load_pickle(path)
    for _ in range(MAX_NESTING):
        nests = (found.get(key) for key in NESTS if isinstance(found, Mapping))
        inner = next((nest for nest in nests if isinstance(nest, Mapping) and nest), None)
        if inner is None and len(found) == 1:
            (only,) = found.values()
            inner = only if isinstance(only, Mapping) else None
        found = found if inner is None else inner
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ModelError(f"{path} holds no network's weights", "take one of Real-ESRGAN's files")
    return {new: tensors[old] for old, new in strip_prefixes(tensors).items()}


def _refuse_code(header: Header) -> None:
    if not header.code:
        return
    if header.code[0].startswith("__torch__"):
        raise ModelError(f"{header.path} is a program of TorchScript, not weights", _SAFER)
    raise ModelError(
        f"{header.path} is refused: it would run {header.code[0]} while it is loaded", _SAFER
    )


def _load_safetensors(path: Path) -> Weights:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no safetensors file, or damaged: {error}") from error


def _load_pickle(path: Path) -> Mapping[Any, Any]:
    """A file of torch, of which only tensors and plain containers are taken.

    `weights_only` is said outright, so that no environment variable can turn it off.
    """
    nothing: list[Any] = [(StubObject, name) for name in IGNORED_GLOBALS]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(nothing):
            warnings.simplefilter("ignore")  # about pickle protocols: what counts is raised
            with path.open("rb") as file:  # of a path, torch goes by the suffix
                whole = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path} is refused: it holds more than weights", _SAFER) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, OSError) as error:
        detail = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} is damaged: {detail}", "fetch it again") from error
    return whole if isinstance(whole, Mapping) else {}
