"""Which models and upscalers there are, and where; and how the ones that are not here arrive."""

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
