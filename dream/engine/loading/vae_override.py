"""Replaces a model's VAE with another one: its decoder makes the pixels, so colours and edges
change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch

from dream.catalogue.config_limits import check_model_folder
from dream.catalogue.weight_files import WeightFiles, find_weights, hash_weight_files
from dream.core.errors import ModelError, summarize
from dream.engine.empty_conditioning import add_empty_conditioning
from dream.engine.loading.file_signature import compute_file_signature
from dream.engine.loading.pipelines import LoadedModel, check_pickles


@dataclass(frozen=True)
class VaeOverride:
    """A VAE in memory."""

    path: Path
    cache_key: object
    """See `compute_cache_key`: a different key means another VAE."""
    module: Any
    digest: str
    """SHA-256 of its weights."""


def compute_cache_key(path: Path, loaded: LoadedModel) -> object:
    """What a VAE for a model depends on: its files as they are now, device and dtype, and the
    family, because a single file does not hold the scaling of its latents."""
    return path, compute_file_signature(path), loaded.placement, loaded.info.family


def open_vae(path: Path, loaded: LoadedModel) -> VaeOverride:
    """Load the VAE in a file, or in a folder in diffusers layout, for a model that is in memory.

    Raises ModelError for anything else, and for a pickle that would run code.
    """
    if path.is_dir():
        check_model_folder(path)
    placement, made_of = loaded.placement, compute_cache_key(path, loaded)
    files = (
        find_weights(path.parent, {path.name: "diffusers"})
        if path.is_dir()
        else WeightFiles((path,))
    )
    check_pickles(files)
    try:
        network = _read(path, files, loaded)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path} cannot be loaded as a VAE: {summarize(error)}") from error
    network.to(placement.device)
    if placement.device == "cpu":
        network.to(memory_format=torch.channels_last)
    return VaeOverride(path, made_of, network.eval(), hash_weight_files(files))


def check_latents(vae: VaeOverride, loaded: LoadedModel) -> None:
    """Raises ModelError for a VAE of other latents than the model's."""
    own = _latent_channels(loaded.pipe)
    if own is None:
        raise ModelError(
            f"{loaded.info.name} has no replaceable VAE",
            "remove --vae",
        )
    if (expected := vae.module.config.latent_channels) != own:
        raise ModelError(
            f"{vae.path} expects {expected} latent channels; {loaded.info.name} has {own}",
            "choose a VAE made for this model family",
        )


def _latent_channels(pipe: Any) -> int | None:
    """Channels of a pipeline's latents; None where they are not an AutoencoderKL's."""
    own, unet = getattr(pipe, "vae", None), getattr(pipe, "unet", None)
    channels: int | None = None
    if own is not None:
        channels = own.config.get("latent_channels")
    elif unet is not None and _lacks_vae(pipe):
        channels = unet.config.out_channels
    return channels


def _read(path: Path, files: WeightFiles, loaded: LoadedModel) -> Any:
    dtype = loaded.placement.dtype
    if path.is_dir():
        return diffusers.AutoencoderKL.from_pretrained(
            path,
            torch_dtype=dtype,
            variant=files.variant,
            use_safetensors=files.is_safe or None,
            local_files_only=True,
        )
    from dream.engine.loading.single_file import (
        load_vae,  # imports much that folders do not need
    )

    return load_vae(path, loaded.placement, loaded.info.family)


@contextmanager
def replace_vae(loaded: LoadedModel, vae: VaeOverride | None) -> Iterator[None]:
    """The model with that VAE, if any; its own is restored at the end.

    Raises ModelError for a model that would have no VAE: pruned files have none.
    """
    pipe = loaded.pipe
    if vae is None:
        if _lacks_vae(pipe):
            raise ModelError(
                f"{loaded.info.name} in {loaded.info.path} contains no VAE",
                'choose one with --vae NAME, or set vae = "NAME" in models.toml',
            )
        yield
        return
    own = pipe.vae
    pipe.vae = vae.module
    try:
        with nullcontext() if own is not None else _empty_conditioning(pipe):
            yield
    finally:
        pipe.vae = own


def _lacks_vae(pipe: Any) -> bool:
    """Whether the pipeline takes a VAE, and has none."""
    return getattr(pipe, "vae", pipe) is None


@contextmanager
def _empty_conditioning(pipe: Any) -> Iterator[None]:
    """Adds the empty conditioning (see `empty_conditioning`), which needs a VAE and could not be
    added when the model came without one."""
    hooks = pipe.unet._forward_pre_hooks  # torch has no other list of them
    before = set(hooks)
    add_empty_conditioning(pipe)
    try:
        yield
    finally:
        for hook in set(hooks) - before:
            del hooks[hook]
