"""Previews of unfinished images: one matrix over the latents, or a tiny decoder."""

from __future__ import annotations

import time
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dream.catalogue.config_limits import check_model_folder
from dream.catalogue.model_info import LatentRgbFactors, ModelInfo
from dream.core.errors import ModelError, summarize
from dream.core.events import Note, Preview
from dream.engine.interface import ProgressCallback
from dream.engine.sampling.latent_rgb_factors import RGB_FACTORS
from dream.engine.sampling.schedulers import predict_x0
from dream.options.family_table import get_family

MIN_INTERVAL = 0.3
"""Seconds between two previews, at least."""

MAX_TIME_SHARE = 0.01
"""Share of the time that previews take, at most."""

MAX_SIDE = 128
"""Pixels of a decoded preview's side, at most; a terminal shows no more."""

Previewer = Callable[[torch.Tensor], Preview | None]
"""Clean latents (1, C, h, w), as the network sees them, to a preview; None where they do not
fit."""


class ThrottledPreview:
    """Makes a preview after the first step, and then no sooner than `MIN_INTERVAL` seconds later,
    and never for more than `MAX_TIME_SHARE` of the time."""

    def __init__(
        self,
        previewer: Previewer,
        width: int,
        height: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`width` and `height` are the image's, in pixels."""
        self._previewer, self._clock = previewer, clock
        self._size = (height, width)
        self._next = float("-inf")

    def after_step(self, pipe: Any, latents: torch.Tensor) -> Preview | None:
        """A preview, if it is time for one. `latents` are the pipeline's after this step."""
        if self._clock() < self._next:
            return None
        _wait_for(latents.device)  # its work must not count as time of the preview
        began = self._clock()
        estimate = predict_x0(pipe.scheduler)
        # Flow matching has no such estimate: its latents become clean gradually.
        seen = unpack_latents(pipe, latents if estimate is None else estimate, *self._size)
        preview = None if seen is None else self._previewer(seen)
        self._next = began + max(MIN_INTERVAL, (self._clock() - began) / MAX_TIME_SHARE)
        return preview


def unpack_latents(
    pipe: Any, latents: torch.Tensor, height: int, width: int
) -> torch.Tensor | None:
    """(1, C, h, w), also from Flux's (1, h * w / 4, 4 * C) and from a video's single frame (1, C,
    1, h, w); height and width in pixels. FLUX.2's are packed like Flux's, and stay
    normalized. None for latents in an order that the pipeline does not reveal."""
    if latents.ndim == 3 and hasattr(pipe, "_unpatchify_latents"):
        rows, columns = (side // (2 * pipe.vae_scale_factor) for side in (height, width))
        squares = latents.reshape(1, rows, columns, -1).permute(0, 3, 1, 2)
        latents = pipe._unpatchify_latents(squares)
    if latents.ndim == 3 and hasattr(pipe, "_unpack_latents"):
        factor = (pipe.vae_scale_factor,)
        takes = len(signature(pipe._unpack_latents).parameters)
        latents = pipe._unpack_latents(latents, height, width, *factor[: takes - 3])
    if latents.ndim == 5 and latents.shape[2] == 1:
        latents = latents.squeeze(2)
    return latents if latents.ndim == 4 else None


class Previewers:
    """The previewer of each model: its family's tiny decoder where there is one, else a matrix. A
    decoder is loaded once."""

    def __init__(
        self,
        find_decoder: Callable[[str], Path | None],
        fit: Callable[[Any], LatentRgbFactors | None] = lambda pipe: None,
    ) -> None:
        """`find_decoder` returns a family's folder or file: see `catalogue.taesd`. `fit` computes a
        matrix for a pipeline, where none is known: see `preview_fit`."""
        self._find_decoder = find_decoder
        self._fit = fit
        self._decoders: dict[Path, Previewer] = {}
        self._fitted: dict[Path, LatentRgbFactors | None] = {}

    def for_model(
        self,
        info: ModelInfo,
        device: str,
        report: ProgressCallback,
        pipe: Any = None,
    ) -> Previewer | None:
        """The previewer of this model, which this pipeline is; None where there is none."""
        folder = self._find_decoder(info.family)
        if folder is not None and info.preview is None:
            try:
                if folder not in self._decoders:
                    self._decoders[folder] = make_taesd_previewer(folder, device)
                return self._decoders[folder]
            except (OSError, ValueError, RuntimeError, ModelError) as error:
                report(Note(text=f"{folder} is not used for previews: {summarize(error)}"))
        factors = get_rgb_factors(info)
        if factors is None or not _has_latents_of(factors, pipe):
            factors = self._fit_once(info, pipe)
        return None if factors is None else make_linear_previewer(factors)

    def _fit_once(self, info: ModelInfo, pipe: Any) -> LatentRgbFactors | None:
        if info.path not in self._fitted:
            try:
                self._fitted[info.path] = self._fit(pipe)
            except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
                self._fitted[info.path] = None  # a preview must not end an image
        return self._fitted[info.path]


def _has_latents_of(factors: LatentRgbFactors, pipe: Any) -> bool:
    """Whether a pipeline's latents have as many channels as a matrix: not all models of a family
    need have the same VAE."""
    count = len(factors.matrix)
    config = getattr(getattr(pipe, "vae", None), "config", {})
    return bool(config.get("latent_channels", config.get("z_dim", count)) == count)


def get_rgb_factors(info: ModelInfo) -> LatentRgbFactors | None:
    """The model's own matrix, or its family's; None when none is known."""
    return info.preview or RGB_FACTORS.get(get_family(info.family).space)


def make_linear_previewer(factors: LatentRgbFactors) -> Previewer:
    """One matrix, no network, about a millisecond: a pixel for each latent."""
    matrix = np.array(factors.matrix, np.float32)
    bias = np.array(factors.bias, np.float32)

    def previewer(latents: torch.Tensor) -> Preview | None:
        if latents.shape[1] != len(matrix):
            return None
        # In this thread alone: on a busy machine, waiting for torch's other threads takes a hundred
        # times as long as the work.
        seen = latents[0].cpu().float().numpy()
        return _as_preview(np.einsum("chw,cd->hwd", seen, matrix) + bias)

    return previewer


def make_taesd_previewer(path: Path, device: str) -> Previewer:
    """A tiny decoder (TAESD, by O. Boer Bohan) in diffusers layout, or the author's file: sharper,
    and slower.

    Raises OSError, ValueError, ModelError for a path without one.
    """
    decode, channels = _open_decoder(path, device)

    @torch.inference_mode()
    def previewer(latents: torch.Tensor) -> Preview | None:
        if latents.shape[1] != channels:
            return None
        image = decode(latents[:1].to(device).float())  # (1, 3, H, W), -1..1
        shrink = max(1, -(-max(image.shape[2:]) // MAX_SIDE))
        small = torch.nn.functional.avg_pool2d(image, shrink)
        return _as_preview(small[0].cpu().permute(1, 2, 0).numpy())

    return previewer


def _open_decoder(path: Path, device: str) -> tuple[Callable[[torch.Tensor], torch.Tensor], int]:
    """What decodes latents to about -1..1, and how many channels they have."""
    if path.is_file():
        # Imported late: few folders have such files.
        from dream.engine.loading.tiny_decoders import open_tiny_decoder

        network, channels = open_tiny_decoder(path)
        return network.to(device), channels
    check_model_folder(path)
    from diffusers import AutoencoderTiny

    decoder = AutoencoderTiny.from_pretrained(
        path, local_files_only=True, use_safetensors=True, torch_dtype=torch.float32
    ).to(device)
    return lambda latents: decoder.decode(latents).sample, decoder.config.latent_channels


def _as_preview(rgb: np.ndarray[Any, Any]) -> Preview:
    """(h, w, 3) in -1..1."""
    height, width, _ = rgb.shape
    pixels = ((rgb + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    return Preview(width, height, pixels.tobytes())


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
