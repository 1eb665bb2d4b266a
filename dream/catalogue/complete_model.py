"""Finds what completes a model in a single file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dream.catalogue.base_models import with_base_model
from dream.catalogue.companions import with_companions
from dream.catalogue.detect import detect
from dream.catalogue.model_info import ModelInfo


def complete_model(info: ModelInfo, dirs: Sequence[Path]) -> ModelInfo:
    """A single-file model with the files that complete it and what it lacks: text encoders and a
    VAE, or the base model of a UNet. Raises ModelError for a file that cannot be read."""
    detected = detect(info.path)
    if detected.lone_unet:
        return with_base_model(info, detected, dirs)
    return with_companions(info, dirs)
