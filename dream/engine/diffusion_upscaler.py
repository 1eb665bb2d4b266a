"""-U by diffusion: Stable Diffusion's x4 upscaler, in tiles without visible seams.

Its denoiser takes, beside the latents, the low-resolution image with a little noise (7 channels in
all), and the amount of that noise. Rombach et al. 2022, arXiv:2112.10752; Ho et al. 2021,
arXiv:2106.15282.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dream.core.errors import FinishError, ModelError
from dream.core.recipe import Recipe
from dream.engine.empty_conditioning import count_latent_channels
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling import noise
from dream.engine.sampling.schedulers import make_scheduler
from dream.engine.silence_libraries import silence_libraries
from dream.prompt import parse_prompt

SCALE = 4

TILE = 256
"""Pixels of a tile's side, at most: the memory grows with the square of the tile's area."""
OVERLAP = 32
"""Pixels that neighbouring tiles share; across them one fades into the next."""

NOISE_LEVEL = 20
"""Of 1000: the noise on the low-resolution image. The more, the more detail is invented."""

_COLOURS = 3
_STEP = 8
"""The denoiser halves its sides three times."""

OnStep = Callable[[int, int], None]
"""Called after each step of each tile, with its number, from 1, and the number of all. May raise,
to cancel."""


@dataclass(frozen=True)
class DiffusionUpscaler:
    """The upscaler in memory, for one image: with its prompt, seed, steps and guidance."""

    loaded: LoadedModel
    """A StableDiffusionUpscalePipeline."""
    recipe: Recipe

    @property
    def sha256(self) -> str:
        """Of its weights."""
        return self.loaded.digest.result()

    def upscale(self, rgb: NDArray[np.float32], tile: int, on_step: OnStep) -> NDArray[np.float32]:
        """(h, w, 3) in 0..1 → (4h, 4w, 3) in 0..1, by tiles of at most `tile` pixels a side, and
        never more than TILE; 0 is the whole at once.

        All tiles are cut from one field of noise, drawn for the whole image from its seed, so
        overlapping tiles start alike and end alike. Raises what `on_step` raises, and torch's
        out-of-memory errors, for the caller to retry with smaller tiles.
        """
        height, width, _ = rgb.shape
        filled = np.pad(rgb, ((0, -height % _STEP), (0, -width % _STEP), (0, 0)), mode="edge")
        small = torch.from_numpy(filled).permute(2, 0, 1)[None]
        image = self._in_tiles(small, tile, on_step)
        pixels: NDArray[np.float32] = image[0].permute(1, 2, 0).numpy()
        return pixels[: height * SCALE, : width * SCALE]

    @torch.inference_mode()
    def _in_tiles(self, small: torch.Tensor, tile: int, on_step: OnStep) -> torch.Tensor:
        source = noise.make_generator(self.recipe.seed)
        sides = small.shape[2:]
        latents = noise.draw_gaussian(source, (1, count_latent_channels(self.loaded.pipe), *sides))
        grain = noise.draw_gaussian(source, tuple(small.shape))
        most = min(tile, TILE) // _STEP * _STEP if tile else max(sides)
        spans = [list(_tile_spans(side, max(most, 2 * OVERLAP))) for side in sides]
        tiles = list(product(*spans))
        image = torch.zeros(1, 3, sides[0] * SCALE, sides[1] * SCALE)
        weights = torch.zeros(1, 1, *image.shape[2:])
        for number, (rows, columns) in enumerate(tiles):
            here = (..., rows, columns)
            done = number * self.recipe.steps

            def report_step(step: int, done: int = done) -> None:
                on_step(done + step, len(tiles) * self.recipe.steps)

            piece = self._tile(small[here], latents[here], grain[here], report_step)
            weight = _fade(*piece.shape[2:])
            there = (..., _large(rows), _large(columns))
            image[there] += piece * weight
            weights[there] += weight
        if not torch.isfinite(image).all():
            raise FinishError("the upscaler produced NaN values", "choose another upscaler")
        return image.div_(weights).clamp_(0, 1)

    def _tile(
        self,
        small: torch.Tensor,
        latents: torch.Tensor,
        grain: torch.Tensor,
        on_step: Callable[[int], None],
    ) -> torch.Tensor:
        """(1, 3, h, w) in 0..1 → (1, 3, 4h, 4w) in 0..1, in float32 on the CPU."""
        pipe, recipe = self.loaded.pipe, self.recipe
        read = parse_prompt(recipe.prompt, recipe.negative, recipe.syntax)
        positive, negative = read.positive.words, read.negative.words
        own, grainless = pipe.scheduler, pipe.low_res_scheduler
        try:
            pipe.scheduler = make_scheduler(
                "ddim", own.config, recipe.steps, self.loaded.placement.dtype
            )
            pipe.low_res_scheduler = _FixedNoiseScheduler(grainless, grain)
            with silence_libraries():
                image = pipe(
                    positive,
                    image=small,
                    num_inference_steps=recipe.steps,
                    guidance_scale=recipe.cfg_scale,
                    noise_level=NOISE_LEVEL,
                    negative_prompt=negative or None,
                    latents=latents,
                    output_type="np",
                    callback=lambda index, timestep, latents: on_step(index + 1),
                )
        finally:
            pipe.scheduler, pipe.low_res_scheduler = own, grainless
        return torch.from_numpy(image.images).permute(0, 3, 1, 2).float()


def open_diffusion_upscaler(loaded: LoadedModel, recipe: Recipe) -> DiffusionUpscaler:
    """The upscaler, ready for a recipe's image. Raises ModelError for other pipelines."""
    pipe = loaded.pipe
    channels = count_latent_channels(pipe) + _COLOURS
    if getattr(pipe, "low_res_scheduler", None) is None or pipe.unet.config.in_channels != channels:
        raise ModelError(
            f"{loaded.info.path} is not an upscaler: its denoiser takes no low-resolution image",
            "choose another upscaler",
        )
    return DiffusionUpscaler(loaded, recipe)


class _FixedNoiseScheduler:
    """The scheduler that adds noise to the low-resolution image, with the noise passed to it: the
    pipeline would draw other noise for each tile."""

    def __init__(self, own: Any, grain: torch.Tensor) -> None:
        self._own = own
        self._grain = grain
        self.config = own.config

    def add_noise(self, image: torch.Tensor, drawn: torch.Tensor, level: Any) -> torch.Tensor:
        """The image with noise of `level` (0 to 999)."""
        noisy: torch.Tensor = self._own.add_noise(image, self._grain.to(image), level)
        return noisy


def _tile_spans(side: int, most: int) -> list[slice]:
    """Cut a side into as few pieces of one length as possible that overlap by at least OVERLAP."""
    length = min(side, most)
    pieces = max(1, math.ceil((side - OVERLAP) / (length - OVERLAP))) if side > length else 1
    starts = (round((side - length) * piece / max(1, pieces - 1)) for piece in range(pieces))
    return [slice(start, start + length) for start in starts]


def _large(span: slice) -> slice:
    return slice(span.start * SCALE, span.stop * SCALE)


def _fade(height: int, width: int) -> torch.Tensor:
    """The weight of a tile's pixels, (height, width): less towards its edges, never 0."""

    def ramp(side: int) -> torch.Tensor:
        near = torch.minimum(torch.arange(side), torch.arange(side).flip(0)).float() + 1
        return near.clamp(max=OVERLAP * SCALE) / (OVERLAP * SCALE)

    return ramp(height)[:, None] * ramp(width)
