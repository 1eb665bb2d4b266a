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


_SUFFIXES = (".safetensors", ".sft", ".pth")


def find_decoder(family: str, models_dirs: Iterable[Path]) -> Path | None:
    """The family's small decoder for previews: its folder in diffusers layout, or the author's
    file; None if there is none."""
    name = get_family(family).decoder
    if not name:
        return None
    for models in models_dirs:
        if (models / name / "config.json").is_file():
            return models / name
        if (path := _find_authors_file(name, models)) is not None:
            return path
    return None


def find_decoder_file(family: str, models_dirs: Iterable[Path]) -> Path | None:
    """The weights of the family's small decoder that generate images: in its folder in diffusers
    layout, or the author's file, as ComfyUI has it; None if there are none."""
    name = get_family(family).decoder
    if name not in SMALL_DECODERS:
        return None
    for models in models_dirs:
        own = models / name / "diffusion_pytorch_model.safetensors"
        path = own if own.is_file() else _find_authors_file(name, models)
        if path is not None:
            return path
    return None


def _find_authors_file(name: str, models: Path) -> Path | None:
    """`taesd_decoder.pth`, `taew2_1.safetensors`, or one of lightx2v's (`lighttaew2_1`), in a
    folder for them."""
    stems = (f"{name}_decoder", name, f"light{name}")
    places = (
        models / place / f"{stem}{suffix}"
        for place in APPROXIMATE_VAES
        for stem in stems
        for suffix in _SUFFIXES
    )
    return next((path for path in places if path.is_file()), None)


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
