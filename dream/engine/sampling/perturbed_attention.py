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
        pipeline_class = getattr(diffusers, name.removesuffix(ending) + "PAG" + ending, None)
        if pipeline_class is None:
            break
        return _build_pipeline(pipeline_class, pipe)
    raise ModelError(
        f"{loaded.info.name} does not support --pag: diffusers has no such pipeline for {name}",
        "remove --pag, or choose another --model",
    )


def _build_pipeline(pipeline_class: Any, pipe: Any) -> Any:
    """A pipeline of that class over the components of `pipe`."""
    parameters = signature(pipeline_class.__init__).parameters
    parts = {name: part for name, part in pipe.components.items() if name in parameters}
    if "requires_safety_checker" in parameters:
        parts["requires_safety_checker"] = False
    built = pipeline_class(**parts, pag_applied_layers=_LAYERS)
    built.set_progress_bar_config(disable=True)
    return built
