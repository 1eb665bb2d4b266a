"""Reads the weights of an upscaler from a safetensors or torch file."""

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

_CONVERT_HINT = "use a .safetensors version, or convert it on an isolated machine"


def read_upscaler_weights(path: Path) -> Weights:
    """The tensors of a file by name, without the nesting and the prefixes that trainers add. The
    format is detected from the content, and a pickle is checked before it is opened. Raises
    ModelError if the file is damaged, contains no weights, or would run code."""
    header = read_header(path)
    _refuse_code(header)
    weights = _load_safetensors(path) if header.format == "safetensors" else _load_pickle(path)
    for _ in range(MAX_NESTING):
        nests = (weights.get(key) for key in NESTS if isinstance(weights, Mapping))
        inner = next((nest for nest in nests if isinstance(nest, Mapping) and nest), None)
        if inner is None and len(weights) == 1:
            (only,) = weights.values()
            inner = only if isinstance(only, Mapping) else None
        weights = weights if inner is None else inner
    tensors = {str(name): value for name, value in weights.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ModelError(f"{path} contains no weights", "use one of Real-ESRGAN's files")
    return {new: tensors[old] for old, new in strip_prefixes(tensors).items()}


def _refuse_code(header: Header) -> None:
    if not header.code:
        return
    if header.code[0].startswith("__torch__"):
        raise ModelError(f"{header.path} is a TorchScript program, not weights", _CONVERT_HINT)
    raise ModelError(
        f"{header.path} is refused: loading it would run {header.code[0]}", _CONVERT_HINT
    )


def _load_safetensors(path: Path) -> Weights:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a safetensors file, or it is damaged: {error}") from error


def _load_pickle(path: Path) -> Mapping[Any, Any]:
    """Load a torch file; only tensors and plain containers are allowed.

    `weights_only` is set explicitly, so that no environment variable can turn it off.
    """
    stubs: list[Any] = [(StubObject, name) for name in IGNORED_GLOBALS]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(stubs):
            warnings.simplefilter("ignore")  # about pickle protocols; real problems raise
            with path.open("rb") as file:  # with a path, torch depends on the suffix
                content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is refused: it contains more than weights", _CONVERT_HINT
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, OSError) as error:
        detail = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} is damaged: {detail}", "download it again") from error
    return content if isinstance(content, Mapping) else {}
