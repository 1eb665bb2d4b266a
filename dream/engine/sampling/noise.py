"""The noise an image starts from: drawn on the CPU in float32, the same on every device.

The only place where it is drawn, for every task: from the seed, with Perlin noise mixed in
(`--perlin`), and interpolated towards the noise of other seeds (`-V`).
"""

from __future__ import annotations

import math
from typing import Any

import torch

from dream.core.errors import ModelError
from dream.core.recipe import Recipe
from dream.engine.empty_conditioning import count_latent_channels

PERLIN_CELLS = 8
"""Cells of Perlin noise along each side of the image; a side of 1, 2 or 4 latents has as many."""


def make_generator(seed: int) -> torch.Generator:
    """The image's only random generator, on the CPU. seed: 0 to 2**32 - 1."""
    return torch.Generator("cpu").manual_seed(seed)


def draw_latents(pipe: Any, recipe: Recipe, source: torch.Generator) -> torch.Tensor | None:
    """The initial noise (1, C, height/f, width/f) in float32.

    None for pipelines without a UNet, whose latents have other shapes: those draw it themselves,
    from the same CPU generator. They draw it in the network's dtype, which on the CPU is the
    float32 draw rounded. Raises ModelError where the recipe changes that noise.
    """
    if getattr(pipe, "unet", None) is None:
        if recipe.with_variations or recipe.perlin:
            raise ModelError(
                f"{recipe.model} draws its own noise, so -v, -V and --perlin are not supported",
                "remove them, or choose a model with a UNet",
            )
        return None
    factor = pipe.vae_scale_factor
    shape = (1, count_latent_channels(pipe), recipe.height // factor, recipe.width // factor)
    latents = draw_noise(recipe, source, shape)
    if pipe.unet.config.time_cond_proj_dim is None:
        return latents
    # A consistency model takes the guidance scale too, and its dtype from the latents.
    return latents.to(pipe.unet.dtype)


def draw_noise(recipe: Recipe, source: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """A recipe's noise (1, C, h, w) in float32, of mean 0 and variance 1; `source` is the generator
    of its seed, which the sampler uses next."""
    noise = _draw_for_seed(recipe.perlin, source, shape)
    for seed, weight in recipe.with_variations or ():
        noise = interpolate_spherically(
            noise, _draw_for_seed(recipe.perlin, make_generator(seed), shape), weight
        )
    return noise


def interpolate_spherically(start: torch.Tensor, end: torch.Tensor, weight: float) -> torch.Tensor:
    """Part of the way along the arc from one noise to another; 0 is the first, 1 the second.

    On the straight line between them the variance would be too small for noise: White 2016,
    arXiv:1609.04468.
    """
    a, b = start.double(), end.double()
    cosine = float((a * b).sum() / (a.norm() * b.norm()))
    angle = math.acos(min(1.0, max(-1.0, cosine)))
    if math.sin(angle) < 1e-6:  # the same noise, or a point's reflection: there is no one arc
        return torch.lerp(start, end, weight)
    near, far = (math.sin(part * angle) / math.sin(angle) for part in (1 - weight, weight))
    return (near * a + far * b).float()


def draw_gaussian(source: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Gaussian noise of this shape, float32, of mean 0 and variance 1."""
    return torch.randn(shape, generator=source, device="cpu", dtype=torch.float32)


def _draw_for_seed(share: float, source: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """The noise of one seed, with that share of Perlin noise; mixed so that the variance stays
    1."""
    plain = draw_gaussian(source, shape)
    if not share:
        return plain
    mixed = (1 - share) * plain + share * draw_perlin(source, shape)
    return mixed / math.hypot(1 - share, share)


def draw_perlin(source: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Perlin's gradient noise of this shape, the last two being height and width; each channel with
    mean 0 and variance 1. It is periodic along both sides.

    Perlin 1985, doi:10.1145/325165.325247, with the fade of 2002, doi:10.1145/566654.566636.
    """
    *front, height, width = shape
    # With twice as many cells as latents, each latent would lie on the lattice.
    high, wide = (
        side if side < PERLIN_CELLS and PERLIN_CELLS % side == 0 else PERLIN_CELLS
        for side in shape[-2:]
    )
    turns = torch.rand((*front, high, wide), generator=source, dtype=torch.float32)
    gradients = torch.stack((torch.cos(math.tau * turns), torch.sin(math.tau * turns)))
    # Half a step off the lattice, on which all gradient noise is zero.
    y = (torch.arange(height) + 0.5) * (high / height)
    x = (torch.arange(width) + 0.5) * (wide / width)
    row, column = y.long(), x.long()
    down, right = (y - row)[:, None], (x - column)[None, :]

    def corner(below: int, beyond: int) -> torch.Tensor:
        rows, columns = (row + below) % high, (column + beyond) % wide
        gradient: torch.Tensor = gradients[..., rows, :][..., columns]
        return gradient[1] * (right - beyond) + gradient[0] * (down - below)

    top = torch.lerp(corner(0, 0), corner(0, 1), _fade(right))
    bottom = torch.lerp(corner(1, 0), corner(1, 1), _fade(right))
    field = torch.lerp(top, bottom, _fade(down).expand_as(top))
    middle = field.mean((-2, -1), keepdim=True)
    return (field - middle) / field.std((-2, -1), correction=0, keepdim=True).clamp(min=1e-6)


def _fade(t: torch.Tensor) -> torch.Tensor:
    return t * t * t * (t * (6 * t - 15) + 10)
