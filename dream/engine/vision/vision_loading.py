"""Loads vision models of transformers from a folder: weights, and no code."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError

from dream.catalogue.config_limits import check_model_folder
from dream.catalogue.weight_files import WeightFiles, hash_weight_files
from dream.core.errors import ModelError, summarize

_BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)


def load_vision_model(kind: Any, path: Path, device: str, unused: str = "") -> Any:
    """A model of that class, in float32, with all of its weights except those whose names begin
    with `unused`. Nothing is downloaded; pickles are read as weights only.

    Raises ModelError for a folder that is broken, or has missing weights.
    """
    check_model_folder(path)
    safe = any(path.glob("*.safetensors"))
    try:
        model, info = kind.from_pretrained(
            path, local_files_only=True, use_safetensors=safe, output_loading_info=True
        )
    except (*_BROKEN, SafetensorError, UnpicklingError, EOFError) as error:
        raise make_load_error(path, error) from error
    missing = [name for name in info["missing_keys"] if not (unused and name.startswith(unused))]
    if missing:
        raise ModelError(f"{path}: {min(missing)} is missing", "download it again")
    for weight in model.parameters():
        # A copy has torch's alignment; the file's own would change low bits.
        weight.data = weight.data.to(device, torch.float32, copy=True)
    return model.to(device).eval()


def make_load_error(path: Path, error: Exception) -> ModelError:
    """The error for a folder that cannot be loaded."""
    return ModelError(f"{path} cannot be loaded: {summarize(error)}", "download it again")


def hash_weights(path: Path) -> str:
    """SHA-256 of the folder's weights, of the files that are read."""
    files = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
    return hash_weight_files(WeightFiles(tuple(files)))
