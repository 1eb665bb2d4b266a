"""Models that paint by how far away things are (Stable Diffusion 2's depth model): they take a map
of it beside the latents, from -1, the farthest, to 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from dream.engine.empty_conditioning import count_latent_channels
from dream.engine.loading.pipelines import LoadedModel

PART, LOOK = "depth_estimator", "feature_extractor"
"""Where such a model in diffusers layout keeps what estimates depth, and how that looks."""


def is_depth_model(loaded: LoadedModel) -> bool:
    """Whether the model's denoiser takes one channel more than the latents have."""
    unet = getattr(loaded.pipe, "unet", None)
    return unet is not None and unet.config.in_channels == count_latent_channels(loaded.pipe) + 1


def get_estimator_folder(loaded: LoadedModel) -> Path | None:
    """The folder of the estimator that came with a model; None for one that has none, such as a
    single file, whose estimator is built in another way."""
    folder = loaded.card.path / PART
    return folder if (folder / "config.json").is_file() else None


@contextmanager
def add_depth_conditioning(pipe: Any, depth: torch.Tensor | None) -> Iterator[None]:
    """The denoiser sees this depth (1, 1, h, w) beside the latents; None leaves it as it is, which
    is all equally far."""
    if depth is None:
        yield
        return

    def see(unet: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        latents, *rest = args
        sized = torch.nn.functional.interpolate(
            depth, size=latents.shape[2:], mode="bicubic", align_corners=False
        )
        seen = _in_range(sized).to(latents).expand(len(latents), -1, -1, -1)
        return (torch.cat([latents, seen], 1), *rest)

    handle = pipe.unet.register_forward_pre_hook(see, prepend=True)
    try:
        yield
    finally:
        handle.remove()


def _in_range(depth: torch.Tensor) -> torch.Tensor:
    """From -1, the farthest, to 1; all 0 where everything is equally far."""
    least, most = depth.amin(), depth.amax()
    if most - least < 1e-6:
        return torch.zeros_like(depth)
    return 2 * (depth - least) / (most - least) - 1
