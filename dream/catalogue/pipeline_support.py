"""Which pipelines of diffusers work with dream, and why the others do not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dream.core.errors import ModelError
from dream.options.family import Family
from dream.options.family_table import FAMILIES

_OTHERS = (
    (r"Onnx|Flax", "does not use PyTorch"),
    (r"InstructPix2Pix|Edit|Pix2Pix|Kontext", "edits images from instructions"),
    (r"Video|Animate|Wan|LTX|Mochi|CogVideo|Latte|Allegro|Helios|Cosmos", "generates videos"),
    (r"Audio|Music|Riffusion", "generates audio"),
    (r"ControlNet|Control|Adapter|GLIGEN", "needs a control image (edges, a pose or depth)"),
    (r"Upscale|SuperResolution", "upscales images"),
    (r"^IF", "consists of three models that run in sequence"),
    (r"Prior", "generates embeddings for another model, not images"),
    (r"Kandinsky3", "uses an autoencoder with another latent format"),
    (r"Kandinsky|Wuerstchen|Cascade", "consists of several models"),
    (r"Shap|3D|Marigold", "generates depth maps or 3D shapes"),
    (r"StableDiffusion3PAG", "fails in diffusers itself"),
    (r"GlmImage|NucleusMoE|QwenImage21", "encodes the prompt with a vision-language processor"),
    (r"Ideogram4", "has a second denoiser for guidance"),
    (r"PRX", "has not been tested with dream"),
)
"""What the other pipelines do, by patterns of their names."""

_LATENTS = 4
"""Channels of latents, where a VAE's configuration does not say."""


def find_pipeline_family(pipeline: str) -> Family | None:
    """The row of the table of families for a pipeline class; None if there is none."""
    return next(
        (row for row in FAMILIES if re.fullmatch(rf"(?:{row.pipelines})Pipeline", pipeline)), None
    )


def check_supported(
    folder: Path, pipeline: object, net: Mapping[str, Any], vae: Mapping[str, Any]
) -> None:
    """Reject a folder whose pipeline cannot generate from a prompt. `pipeline` is the class that
    its index names; `net` and `vae` are the configurations of its denoiser and its VAE.

    Raises ModelError, which says what the pipeline is for.
    """
    if not isinstance(pipeline, str) or not pipeline:
        raise ModelError(
            f"{folder} does not name a diffusers pipeline, or names one that it includes as code"
        )
    if find_pipeline_family(pipeline) is None:
        does = (what for pattern, what in _OTHERS if re.search(pattern, pipeline))
        what = next(does, "is not supported by dream")
        raise ModelError(
            f"{folder} is not supported: its {pipeline} {what}", "choose another model"
        )
    channels, latents = net.get("in_channels"), vae.get("latent_channels", _LATENTS)
    wanted = (latents, latents + 1, 2 * latents + 1) if isinstance(latents, int) else ()
    with_unet = (
        pipeline.startswith(("StableDiffusion", "LatentConsistency")) and "3" not in pipeline
    )
    if with_unet and vae and isinstance(channels, int) and wanted and channels not in wanted:
        raise ModelError(
            f"{folder} is not supported: its denoiser takes {channels} channels; text-to-image"
            f" takes {wanted[0]}, depth {wanted[1]} and inpainting {wanted[2]}",
            "choose another model",
        )
