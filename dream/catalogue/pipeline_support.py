"""The families of models that work with dream, and why diffusers' other pipelines do not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dream.core.errors import ModelError


class Family(NamedTuple):
    """One row: a family of models that dream generates images with."""

    name: str
    """As people know it."""
    pipelines: str
    """A pattern for the names of its pipelines in diffusers, without their ending “Pipeline”."""
    single_file: bool = False
    """Whether a single checkpoint file of it works too, not only a folder in diffusers layout."""


FAMILIES = (
    Family(
        "Stable Diffusion 1 and 2 (also inpainting)",
        r"StableDiffusion(PAG|Img2Img|Inpaint|PAGImg2Img|PAGInpaint)?",
        single_file=True,
    ),
    Family("Stable Diffusion 2 depth", r"StableDiffusionDepth2Img", single_file=True),
    Family(
        "Stable Diffusion XL (also refiner, inpainting)",
        r"StableDiffusionXL(PAG|Img2Img|Inpaint|PAGImg2Img|PAGInpaint)?",
        single_file=True,
    ),
    Family("Stable Diffusion 3", r"StableDiffusion3(Img2Img|Inpaint)?"),
    Family("LCM", r"LatentConsistencyModel(Img2Img)?"),
    Family("FLUX.1, FLUX.1 Kontext", r"Flux(Img2Img|Inpaint|Kontext|KontextInpaint)?"),
    Family("FLUX.2 klein", r"Flux2Klein(Inpaint)?"),
    Family("Z-Image", r"ZImage(Img2Img|Inpaint|Omni)?"),
    Family("Qwen-Image", r"QwenImage(Img2Img|Inpaint)?"),
    Family("PixArt-α, PixArt-Σ", r"PixArt(Alpha|Sigma|SigmaPAG)"),
    Family("Sana", r"Sana(PAG)?"),
    Family("Lumina, Lumina 2", r"Lumina2?"),
    Family("CogView 3 Plus, CogView 4", r"CogView(3Plus|4)"),
    Family("HunyuanDiT", r"HunyuanDiT(PAG)?"),
    Family("AuraFlow", r"AuraFlow"),
    Family("Chroma", r"Chroma(Img2Img|Inpaint)?"),
    Family("Ovis-Image", r"OvisImage"),
)
"""Each was run with small random weights, from a prompt alone, with previews and intermediates."""

_SUPPORTED = re.compile(rf"({'|'.join(family.pipelines for family in FAMILIES)})Pipeline")

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


def check_supported(
    folder: Path, pipeline: object, net: Mapping[str, Any], vae: Mapping[str, Any]
) -> None:
    """Refuse a folder whose pipeline cannot paint from words here. `pipeline` is the class that
    its index names; `net` and `vae` are the configurations of its denoiser and its VAE.

    Raises ModelError that says what it is for.
    """
    if not isinstance(pipeline, str) or not pipeline:
        raise ModelError(f"{folder} names no pipeline of diffusers, or one that it brings as code")
    if not _SUPPORTED.fullmatch(pipeline):
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
