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
    (r"Onnx|Flax", "is for another runtime than PyTorch"),
    (r"InstructPix2Pix|Edit|Pix2Pix|Kontext", "edits pictures by words"),
    (r"Video|Animate|Wan|LTX|Mochi|CogVideo|Latte|Allegro|Helios|Cosmos", "makes films"),
    (r"Audio|Music|Riffusion", "makes sound"),
    (r"ControlNet|Control|Adapter|GLIGEN", "is guided by a picture of edges, poses or depth"),
    (r"Upscale|SuperResolution", "enlarges pictures"),
    (r"^IF", "paints in three models, one after the other"),
    (r"Prior", "makes no pictures, but what another model makes pictures of"),
    (r"Kandinsky3", "has an autoencoder that keeps its latents in another way"),
    (r"Kandinsky|Wuerstchen|Cascade", "is made of several models"),
    (r"Shap|3D|Marigold", "makes depth or shapes"),
    (r"StableDiffusion3PAG", "fails in diffusers itself"),
    (r"Flux2Pipeline|GlmImage|NucleusMoE|QwenImage21", "reads words with a processor for pictures"),
    (r"Ideogram4", "has a second denoiser, for guidance"),
    (r"Fill", "only fills in the masked part of a picture"),
    (r"Krea2", "keeps its latents in an order of its own"),
    (r"PRX", "has not been tried with dream"),
)
"""What the other pipelines do, by what their names hold."""

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
    """Refuse a folder whose pipeline cannot paint from words here. `pipeline` is the class that
    its index names; `net` and `vae` are the configurations of its denoiser and its VAE.

    Raises ModelError that says what it is for.
    """
    if not isinstance(pipeline, str) or not pipeline:
        raise ModelError(f"{folder} names no pipeline of diffusers, or one that it brings as code")
    if find_pipeline_family(pipeline) is None:
        does = (what for pattern, what in _OTHERS if re.search(pattern, pipeline))
        what = next(does, "is not one that dream paints with")
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
            f"{folder} is not supported: its denoiser takes {channels} channels, where painting"
            f" takes {wanted[0]}, depth {wanted[1]} and a mask {wanted[2]}",
            "choose another model",
        )
