"""Previews of latent spaces that nobody has published a matrix for: the matrix is fitted to the
model's own VAE, once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dream.catalogue.model_info import LatentRgbFactors
from dream.engine.sampling.intermediates import decode_latents, find_obstacle

_DECODES = 8
_SQUARES = 4
"""Random colours along each side of a decoded image; each is as wide as two latents, because a
decoder draws on a latent's neighbours too."""


def fit_rgb_factors(pipe: Any) -> LatentRgbFactors | None:
    """The linear map from a pipeline's latents to the mean colours of what its VAE decodes, by
    least squares over random latents; None for a pipeline that cannot decode between steps. Always
    the same for the same VAE, and it draws no numbers from anybody else's generator."""
    if find_obstacle(pipe):
        return None
    config = pipe.vae.config
    channels = config.get("latent_channels") or config["z_dim"]  # as Wan's VAE calls them
    source = torch.Generator("cpu").manual_seed(0)
    seen, colours = [], []
    for _ in range(_DECODES):
        squares = torch.randn(1, channels, _SQUARES, _SQUARES, generator=source)
        latents = squares.repeat_interleave(2, 2).repeat_interleave(2, 3)
        image = decode_latents(pipe.vae, latents.to(pipe.vae.device))
        means = torch.nn.functional.adaptive_avg_pool2d(image.cpu(), _SQUARES)
        seen.append(squares[0].flatten(1).T)
        colours.append(means[0].flatten(1).T)
    inputs = torch.cat(seen).double().numpy()
    with_bias = np.concatenate([inputs, np.ones((len(inputs), 1))], 1)
    solved = np.linalg.lstsq(with_bias, torch.cat(colours).double().numpy(), rcond=None)[0]
    *matrix, bias = [(float(red), float(green), float(blue)) for red, green, blue in solved]
    return LatentRgbFactors(matrix=tuple(matrix), bias=bias)
