"""Finds VAEs in the models folders, and checks that a file or folder is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dream.catalogue.discovery import (
    FILES,
    TRANSFORMERS_INDEX,
    list_snapshots,
    list_with_suffix,
)
from dream.catalogue.invokeai_folders import get_listed_name, get_shown_name, is_uuid
from dream.catalogue.layouts import VAES, list_folders
from dream.catalogue.walk_files import list_matches
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError

VAE_FILES = (*FILES, ".pt", ".bin")
"""Suffixes of single-file VAEs."""

VAE_FOLDERS = ("vae", "VAE", "models/VAE")
"""Where VAEs are in a models folder."""


def find_vaes(dirs: Sequence[Path]) -> dict[str, Path]:
    """VAE files, and folders in diffusers layout, by name; x.vae.pt is called `x`. Repositories in
    a hub cache that hold a VAE alone (sd-vae-ft-mse) are VAEs too."""
    paths: dict[str, Path] = {}
    for models in dirs:
        for place in list_folders(VAES, (models,)):
            if is_uuid(place.name) and is_vae_folder(place):
                paths.setdefault(get_shown_name(place), place)
            for config in list_matches(place, f"*/{TRANSFORMERS_INDEX}"):
                paths.setdefault(config.parent.name, config.parent)
            for path in list_with_suffix(place, "**/*", VAE_FILES):
                if not (path.parent / TRANSFORMERS_INDEX).exists():
                    name = get_listed_name(path) or path.stem.removesuffix(".vae")
                    paths.setdefault(name, path)
        for name, folder in list_snapshots(models):
            if is_vae_folder(folder):
                paths.setdefault(name, folder)
    return paths


def check_vae(path: Path) -> None:
    """Raises ModelError for a file or folder that is not a VAE (nor a model with one), and for a
    pickle that would run code. Only the header or the configuration is read."""
    if not path.is_dir():
        from dream.catalogue.detect.require import require_vae  # folders do not need it

        require_vae(path)
    elif not is_vae_folder(path):
        raise ModelError(
            f"{path} is not a VAE in diffusers layout",
            f"choose a folder whose {TRANSFORMERS_INDEX} names an Autoencoder",
        )


def is_vae_folder(folder: Path) -> bool:
    """Whether a folder's configuration names an autoencoder of diffusers."""
    try:
        config = read_json(folder / TRANSFORMERS_INDEX)
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and str(config.get("_class_name", "")).startswith("Autoencoder")
