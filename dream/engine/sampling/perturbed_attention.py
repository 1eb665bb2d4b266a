"""Perturbed-attention guidance (PAG): Ahn et al. 2024, arXiv:2403.17377. The image is guided away
from what the denoiser makes of it without self-attention."""

from __future__ import annotations

from inspect import signature
from typing import Any

import diffusers

from dream.core.errors import ModelError
from dream.engine.loading.pipelines import LoadedModel

_LAYERS = ["mid"]
"""Whose self-attention is replaced by the identity, as the paper recommends for a UNet."""


def get_pag_pipeline(loaded: LoadedModel, pipe: Any) -> Any:
    """The pipeline that does the same as `pipe` with PAG, over the same weights. Raises ModelError
    for one that diffusers has no such class for."""
    name = type(pipe).__name__
    for ending in ("ControlNetImg2ImgPipeline", "Img2ImgPipeline", "InpaintPipeline", "Pipeline"):
        if not name.endswith(ending):
            continue
        kind = getattr(diffusers, name.removesuffix(ending) + "PAG" + ending, None)
        if kind is None:
            break
        takes = signature(kind.__init__).parameters
        parts = {key: part for key, part in pipe.components.items() if key in takes}
        if "requires_safety_checker" in takes:
            parts["requires_safety_checker"] = False
        made = kind(**parts, pag_applied_layers=_LAYERS)
        made.set_progress_bar_config(disable=True)
        return made
    raise ModelError(
        f"{loaded.info.name} does not support --pag: diffusers has no such pipeline for {name}",
        "remove --pag, or choose another --model",
    )
