"""Which models and upscalers there are, and where; and how the ones that are not here arrive."""

from dream.catalogue.cards import ModelCard, PreviewMap, UpscalerCard
from dream.catalogue.places import default_models_dirs
from dream.catalogue.shelf import Shelf
from dream.catalogue.vocabulary import unknown_words

__all__ = [
    "ModelCard",
    "PreviewMap",
    "Shelf",
    "UpscalerCard",
    "default_models_dirs",
    "unknown_words",
]
