"""Models of transformers that look at a picture: read from a folder, weights and no code."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError

from dream.catalogue.code_check import refuse_irregular
from dream.core.errors import ModelError
from dream.engine.loading.weight_files import WeightFiles, hash_weight_files

_BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)


def load_vision_model(kind: Any, path: Path, device: str, unused: str = "") -> Any:
    """A model of that class, in float32, with all of its weights but those whose names begin with
    `unused`. Nothing is fetched; pickles are read as weights only.

    Raises ModelError for a folder that is broken, or lacks weights.
    """
    refuse_irregular(path)
    safe = any(path.glob("*.safetensors"))
    try:
        model, found = kind.from_pretrained(
            path, local_files_only=True, use_safetensors=safe, output_loading_info=True
        )
    except (*_BROKEN, SafetensorError, UnpicklingError, EOFError) as error:
        raise make_load_error(path, error) from error
    lacking = [name for name in found["missing_keys"] if not (unused and name.startswith(unused))]
    if lacking:
        raise ModelError(f"{path}: {min(lacking)} is missing", "fetch it again")
    for weight in model.parameters():
        # A copy begins where torch likes it to; how a file is laid out would change low bits.
        weight.data = weight.data.to(device, torch.float32, copy=True)
    return model.to(device).eval()


def make_load_error(path: Path, error: Exception) -> ModelError:
    """What is said of a folder that cannot be loaded."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(f"{path} cannot be loaded: {said}", "fetch it again")


def hash_weights(path: Path) -> str:
    """SHA-256 of the folder's weights, those that are read."""
    files = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
    return hash_weight_files(WeightFiles(tuple(files)))
