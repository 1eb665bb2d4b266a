"""Finds TAESD decoders in the models folders; their previews are sharper than a linear one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_NAMES = {"sd1": "taesd", "sd2": "taesd", "sdxl": "taesdxl", "sd3": "taesd3", "flux": "taef1"}
"""Family → the name of its published decoder. https://github.com/madebyollin/taesd"""


def find_decoder(family: str, models_dirs: Iterable[Path]) -> Path | None:
    """The folder of the family's TAESD decoder, in diffusers layout; None if there is none."""
    if family not in _NAMES:
        return None
    folders = (models / _NAMES[family] for models in models_dirs)
    return next((folder for folder in folders if (folder / "config.json").is_file()), None)
