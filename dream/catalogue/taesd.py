"""Finds the small decoders (TAESD) of the models folders: for sharper previews, and for
`--decoder taesd`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError
from dream.options.engine_table import FULL_DECODER, SMALL_DECODERS
from dream.options.family_table import get_family

APPROXIMATE_VAES = ("vae_approx", "VAE-taesd", "models/vae_approx", "models/VAE-taesd")
"""Where ComfyUI and AUTOMATIC1111 have the decoders' files, in a models folder."""


def find_decoder(family: str, models_dirs: Iterable[Path]) -> Path | None:
    """The folder of the family's TAESD decoder, in diffusers layout; None if there is none.
    https://github.com/madebyollin/taesd"""
    name = get_family(family).decoder
    if not name:
        return None
    folders = (models / name for models in models_dirs)
    return next((folder for folder in folders if (folder / "config.json").is_file()), None)


def find_decoder_file(family: str, models_dirs: Iterable[Path]) -> Path | None:
    """The weights of the family's small decoder that generate images: in its folder in diffusers
    layout, or the author's file, as ComfyUI has it; None if there are none."""
    name = get_family(family).decoder
    if name not in SMALL_DECODERS:
        return None
    for models in models_dirs:
        places = [models / name / "diffusion_pytorch_model.safetensors"]
        places += [models / place / f"{name}_decoder.safetensors" for place in APPROXIMATE_VAES]
        for path in places:
            if path.is_file():
                return path
    return None


def require_decoder_file(info: ModelInfo, models_dirs: Iterable[Path] = ()) -> Path:
    """The same for a model. Raises ModelError if there is none, or none is known for it."""
    name = get_family(info.family).decoder
    if name not in SMALL_DECODERS or info.preview is not None:
        raise ModelError(
            f"no small decoder is known for the latents of {info.name}",
            f"use --decoder {FULL_DECODER}",
        )
    path = find_decoder_file(info.family, models_dirs)
    if path is None:
        raise ModelError(
            f"{info.name} needs {SMALL_DECODERS[name].title}, which is in no models folder",
            f"put {name}_decoder.safetensors into vae_approx/, or use --decoder {FULL_DECODER}",
        )
    return path
