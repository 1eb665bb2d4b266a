"""Gives a VAE latents of its own data type, where a pipeline passes on those of the scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_UNCAST = ("PixArtAlphaPipeline", "PixArtSigmaPAGPipeline")
"""Pipelines that do; latents are float32 between the steps."""


@contextmanager
def cast_latents(pipe: Any) -> Iterator[None]:
    """While such a pipeline's VAE decodes latents of any type; nothing changes for others."""
    if type(pipe).__name__ not in _UNCAST:
        yield
        return
    vae = pipe.vae
    replaced, decode = vars(vae).get("decode"), vae.decode

    def decode_own_type(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return decode(latents.to(vae.dtype), *args, **kwargs)

    vae.decode = decode_own_type
    try:
        yield
    finally:
        del vae.decode
        if replaced is not None:  # a small decoder: see `loading.small_decoder`
            vae.decode = replaced
