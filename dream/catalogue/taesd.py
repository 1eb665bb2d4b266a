"""Finds TAESD decoders in the models folders; their previews are sharper than a linear one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dream.options.family_table import get_family


def find_decoder(family: str, models_dirs: Iterable[Path]) -> Path | None:
    """The folder of the family's TAESD decoder, in diffusers layout; None if there is none.
    https://github.com/madebyollin/taesd"""
    name = get_family(family).decoder
    if not name:
        return None
    folders = (models / name for models in models_dirs)
    return next((folder for folder in folders if (folder / "config.json").is_file()), None)
