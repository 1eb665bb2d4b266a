"""Finds models and upscalers on disk, reads what they are, and downloads missing ones."""

from dream.catalogue.model_dirs import find_models_dirs
from dream.catalogue.model_info import LatentRgbFactors, ModelInfo, UpscalerInfo
from dream.catalogue.registry import ModelRegistry
from dream.catalogue.vocabulary import unknown_words

__all__ = [
    "LatentRgbFactors",
    "ModelInfo",
    "ModelRegistry",
    "UpscalerInfo",
    "find_models_dirs",
    "unknown_words",
]
