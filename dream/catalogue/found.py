"""Models and VAEs that lie in the models folders, listed or not; only names are looked at here,
and of folders in diffusers layout what they are for.

Besides dream's own layout, a folder of the AUTOMATIC1111 web UI may be given (or the `models` in
it), and the one that tutorials of 2022 linked `model.ckpt` into.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

INDEX = "model_index.json"
"""The file that makes a folder a model."""

PART = "config.json"
"""The file that makes a folder a model of one part, as transformers keeps them."""

UPSCALER = "StableDiffusionUpscalePipeline"
"""What the index of a folder says that enlarges pictures."""

FILES = (".safetensors", ".ckpt")
"""What a model's single file ends in."""

_FILES_IN = ("", "Stable-diffusion/**/", "models/Stable-diffusion/**/")
_LINKED = "ldm/*/model.ckpt"

VAE_FILES = (*FILES, ".pt", ".bin")
_VAES_IN = ("vae", "VAE", "models/VAE")


def find_models(dirs: Sequence[Path]) -> dict[str, Path]:
    """Folders and single files by name; of two with one name the first folder's, and of a folder
    and a file beside it the folder."""
    found: dict[str, Path] = {}
    for models in dirs:
        for index in sorted(models.glob(f"*/{INDEX}")):
            if not enlarges(index.parent):
                found.setdefault(index.parent.name, index.parent)
        for place in _FILES_IN:
            for path in _with_suffix(models, f"{place}*", FILES):
                found.setdefault(path.stem, path)
        for path in sorted(models.glob(_LINKED)):
            found.setdefault(path.parent.name, path)
    return found


def enlarges(folder: Path) -> bool:
    """Whether a folder in diffusers layout is for enlarging pictures, not for painting them."""
    try:
        said = json.loads((folder / INDEX).read_text("utf-8"))
        return isinstance(said, dict) and said.get("_class_name") == UPSCALER
    except (OSError, ValueError, RecursionError):
        return False


def find_vaes(dirs: Sequence[Path]) -> dict[str, Path]:
    """Files, and folders in diffusers layout, by name: `x` of x.vae.pt, too."""
    found: dict[str, Path] = {}
    for models in dirs:
        for place in _VAES_IN:
            for config in sorted((models / place).glob("*/config.json")):
                found.setdefault(config.parent.name, config.parent)
            for path in _with_suffix(models / place, "**/*", VAE_FILES):
                if not (path.parent / "config.json").exists():
                    found.setdefault(path.stem.removesuffix(".vae"), path)
    return found


def _with_suffix(folder: Path, pattern: str, suffixes: Sequence[str]) -> Iterator[Path]:
    """Files that end so, by suffix in that order: of two with one name safetensors are taken."""
    found = [path for path in folder.glob(pattern) if path.suffix in suffixes]
    for path in sorted(found, key=lambda path: (suffixes.index(path.suffix), path)):
        if not path.name.startswith(".") and path.is_file():
            yield path
