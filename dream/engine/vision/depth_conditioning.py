"""Conditions depth models (Stable Diffusion 2's): they take a depth map beside the latents, from
-1, the farthest, to 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from dream.engine.empty_conditioning import count_latent_channels
from dream.engine.loading.pipelines import LoadedModel

PART, FEATURE_EXTRACTOR = "depth_estimator", "feature_extractor"
"""The folders of a depth model's estimator, and of that one's image processor."""


def is_depth_model(loaded: LoadedModel) -> bool:
    """Whether the model's denoiser takes one channel more than the latents have."""
    unet = getattr(loaded.pipe, "unet", None)
    return unet is not None and unet.config.in_channels == count_latent_channels(loaded.pipe) + 1


def get_estimator_folder(loaded: LoadedModel) -> Path | None:
    """The folder of the depth estimator that came with a model; None where there is none, e.g. for
    a single file, whose estimator has another architecture."""
    folder = loaded.info.path / PART
    return folder if (folder / "config.json").is_file() else None


@contextmanager
def add_depth_conditioning(pipe: Any, depth: torch.Tensor | None) -> Iterator[None]:
    """The denoiser gets this depth (1, 1, h, w) beside the latents; None changes nothing, which
    means equally far everywhere."""
    if depth is None:
        yield
        return

    def append_depth(unet: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        latents, *rest = args
        sized = torch.nn.functional.interpolate(
            depth, size=latents.shape[2:], mode="bicubic", align_corners=False
        )
        depth_map = _in_range(sized).to(latents).expand(len(latents), -1, -1, -1)
        return (torch.cat([latents, depth_map], 1), *rest)

    handle = pipe.unet.register_forward_pre_hook(append_depth, prepend=True)
    try:
        yield
    finally:
        handle.remove()


def _in_range(depth: torch.Tensor) -> torch.Tensor:
    """Scaled to -1, the farthest, to 1; all 0 where everything is equally far."""
    least, most = depth.amin(), depth.amax()
    if most - least < 1e-6:
        return torch.zeros_like(depth)
    return 2 * (depth - least) / (most - least) - 1
