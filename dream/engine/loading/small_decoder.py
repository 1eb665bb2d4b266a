"""`--decoder taesd`: a small network makes the pixels from latents, instead of the VAE's decoder.

TAESD and its siblings, by O. Boer Bohan, https://github.com/madebyollin/taesd. They decode latents
as the denoiser has them, without the scale and shift of the VAE's configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DecoderOutput

from dream.catalogue.model_info import ModelInfo
from dream.catalogue.weight_files import WeightFiles, hash_weight_files
from dream.core.errors import ModelError
from dream.core.recipe import Recipe
from dream.engine.loading.file_signature import compute_file_signature
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.loading.tiny_decoders import open_tiny_decoder
from dream.options.engine_table import FULL_DECODER

_MARGIN = 16
"""Latents beyond the edge that a seamless image is decoded with: more than the network sees."""


@dataclass(frozen=True)
class SmallDecoder:
    """A small decoder in memory."""

    cache_key: object
    """See `compute_decoder_key`."""
    module: Any
    channels: int
    digest: str
    """SHA-256 of its weights."""


def compute_decoder_key(path: Path, loaded: LoadedModel) -> object:
    """What a decoder in memory depends on: its file as it is now, device and number type."""
    return path, compute_file_signature(path), loaded.placement.device, loaded.placement.dtype


def open_small_decoder(path: Path, loaded: LoadedModel) -> SmallDecoder:
    """Load a decoder for a model that is in memory, from diffusers' file or the author's. Raises
    ModelError for a file that is not one."""
    network, channels = open_tiny_decoder(path)
    network.to(loaded.placement.device, loaded.placement.dtype)
    if loaded.placement.device == "cpu":
        network.to(memory_format=torch.channels_last)
    digest = hash_weight_files(WeightFiles((path,)))
    return SmallDecoder(compute_decoder_key(path, loaded), network, channels, digest)


class SmallDecoders:
    """The small decoders of recipes; the last one stays in memory."""

    def __init__(self, find: Callable[[ModelInfo], Path]) -> None:
        """`find` returns the file of a model's decoder, and raises ModelError without one."""
        self._find = find
        self._last: SmallDecoder | None = None

    @contextmanager
    def use(self, loaded: LoadedModel, recipe: Recipe) -> Iterator[dict[str, str]]:
        """The model with the decoder that the recipe asks for; undone at the end. Yields what this
        adds to the image's facts. Raises ModelError for a decoder that is not here, or is for other
        latents."""
        if recipe.decoder is None:
            yield {}
            return
        path, decoder = self._find(loaded.info), self._last
        if decoder is None or decoder.cache_key != compute_decoder_key(path, loaded):
            decoder = self._last = open_small_decoder(path, loaded)
        _check_latents(decoder, loaded)
        axes = (recipe.seamless_axes or "x,y") if recipe.seamless else ""
        vae = loaded.pipe.vae
        vae.decode = partial(_decode, decoder.module, vae.config, axes)
        try:
            yield {"decoder_weights": decoder.digest}
        finally:
            del vae.decode


def _check_latents(decoder: SmallDecoder, loaded: LoadedModel) -> None:
    """Raises ModelError for a model whose latents are of another kind."""
    vae, instead = loaded.pipe.vae, f"use --decoder {FULL_DECODER}"
    if not isinstance(vae, AutoencoderKL) or vae.config.get("latents_mean") is not None:
        name = loaded.info.name
        raise ModelError(f"{name} does not support --decoder: its VAE is of another kind", instead)
    if (channels := vae.config.latent_channels) != decoder.channels:
        raise ModelError(
            f"the small decoder has {decoder.channels} latent channels, {loaded.info.name} has"
            f" {channels}",
            instead,
        )


def _decode(
    network: Any, config: Any, axes: str, z: torch.Tensor, return_dict: bool = True, **_: Any
) -> Any:
    """In the place of a VAE's `decode`: latents (B, C, h, w), without scale and shift, to pixels
    (B, 3, 8h, 8w) in -1 to 1. Along `axes`, the image wraps around."""
    latents = (z - (config.get("shift_factor") or 0.0)) * config.scaling_factor
    height, width = latents.shape[-2:]
    y, x = (min(_MARGIN, side) * (axis in axes) for axis, side in (("y", height), ("x", width)))
    wide = torch.nn.functional.pad(latents, (x, x, y, y), mode="circular") if axes else latents
    image = network(wide.to(next(network.parameters()).dtype)).to(z.dtype)
    factor = image.shape[-1] // wide.shape[-1]
    rows = slice(y * factor, (y + height) * factor)
    image = image[..., rows, x * factor : (x + width) * factor]
    return DecoderOutput(sample=image) if return_dict else (image,)
