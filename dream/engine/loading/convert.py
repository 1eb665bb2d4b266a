"""Converts a single file to a folder in diffusers layout: one file and configuration for each
component."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch

from dream.catalogue.detect import detect
from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError
from dream.engine.loading.pipelines import load_model
from dream.engine.loading.stored_weights import decode_all
from dream.engine.memory.device import PRECISIONS
from dream.engine.silence_libraries import silence_libraries

_EXACT = {**{precision: precision for precision in PRECISIONS}, "fp8": "bfloat16"}
"""The smallest data type that has every number of a file; float32 for quantized weights with
scales."""


def export_diffusers(info: ModelInfo, folder: Path) -> None:
    """Write the model into `folder`, in its own dtype, quantized weights decoded; completely or not
    at all.

    Raises ModelError for a model that cannot be loaded, or a folder that cannot be written.
    """
    detected = detect(info.path)
    precision = _EXACT.get(detected.number_format or detected.precision, "float32")
    with silence_libraries():
        pipe = load_model(info, "cpu", precision).pipe
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                decode_all(part)
                part.to(memory_format=torch.contiguous_format)  # as safetensors want it
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            try:
                pipe.save_pretrained(temporary, safe_serialization=True)
                temporary.chmod(0o755)
                temporary.rename(folder)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
        except OSError as error:
            raise ModelError(f"{folder} cannot be written: {error.strerror or error}") from error
