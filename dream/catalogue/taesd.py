"""Tiny decoders, which a person may put among the models: sharper previews than a matrix gives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_NAMES = {"sd1": "taesd", "sd2": "taesd", "sdxl": "taesdxl", "sd3": "taesd3", "flux": "taef1"}
"""Family to the name that its decoder is published under. https://github.com/madebyollin/taesd"""


def find_decoder(family: str, models_dirs: Iterable[Path]) -> Path | None:
    """The folder of the family's tiny decoder, in diffusers layout; None where there is none."""
    if family not in _NAMES:
        return None
    folders = (models / _NAMES[family] for models in models_dirs)
    return next((folder for folder in folders if (folder / "config.json").is_file()), None)
