"""Other pipelines over the loaded model: the same weights, no second copy."""

from __future__ import annotations

from typing import Any

import diffusers

from dream.core.errors import ModelError
from dream.engine.loading.pipelines import LoadedModel

IMG2IMG_CLASSES = {
    "ChromaPipeline": "ChromaImg2ImgPipeline",
    "FluxFillPipeline": "FluxFillPipeline",
    "FluxKontextPipeline": "FluxImg2ImgPipeline",
    "KolorsPipeline": "KolorsImg2ImgPipeline",
    "KolorsPAGPipeline": "KolorsImg2ImgPipeline",
    "StableDiffusionPipeline": "StableDiffusionImg2ImgPipeline",
    "StableDiffusionXLPipeline": "StableDiffusionXLImg2ImgPipeline",
    "RefinerPipeline": "StableDiffusionXLImg2ImgPipeline",
    "QwenImageEditPipeline": "QwenImageImg2ImgPipeline",
    "QwenImageEditPlusPipeline": "QwenImageImg2ImgPipeline",
}
INPAINT_CLASSES = {
    "FluxFillPipeline": "FluxFillPipeline",
    "FluxKontextPipeline": "FluxKontextInpaintPipeline",
    "StableDiffusionPipeline": "StableDiffusionInpaintPipeline",
    "StableDiffusionXLPipeline": "StableDiffusionXLInpaintPipeline",
    "RefinerPipeline": "StableDiffusionXLInpaintPipeline",
    "LatentConsistencyModelPipeline": "StableDiffusionInpaintPipeline",
    "Flux2KleinPipeline": "Flux2KleinInpaintPipeline",
    "QwenImageEditPipeline": "QwenImageInpaintPipeline",
    "QwenImageEditPlusPipeline": "QwenImageInpaintPipeline",
}
"""For the usual families, because diffusers' auto pipelines import every pipeline of diffusers; and
for those where they choose one without a strength, or one that has a size of its own."""
TEXT_CLASSES = {
    "QwenImageEditPipeline": "QwenImagePipeline",
    "QwenImageEditPlusPipeline": "QwenImagePipeline",
}
"""For pipelines that cannot do without an image."""


def get_text_pipeline(loaded: LoadedModel) -> Any:
    """The pipeline that generates from a prompt alone."""
    if type(loaded.pipe).__name__ not in TEXT_CLASSES:
        return loaded.pipe
    return _derived_pipeline(loaded, TEXT_CLASSES, "AutoPipelineForText2Image", "a prompt alone")


def get_img2img_pipeline(loaded: LoadedModel) -> Any:
    """The image-to-image pipeline. Raises ModelError for a model that has none."""
    return _derived_pipeline(
        loaded, IMG2IMG_CLASSES, "AutoPipelineForImage2Image", "image-to-image"
    )


def get_inpaint_pipeline(loaded: LoadedModel) -> Any:
    """The inpainting pipeline. Raises ModelError for a model that has none."""
    return _derived_pipeline(loaded, INPAINT_CLASSES, "AutoPipelineForInpainting", "inpainting")


def _derived_pipeline(loaded: LoadedModel, usual: dict[str, str], auto: str, only: str) -> Any:
    """The derived pipeline. It is made when it is first used, and again after the model's
    components changed, e.g. with --vae."""
    derived = loaded.derived_pipelines.get(auto)
    if derived is None or not _same_parts(derived, loaded.pipe):
        derived = loaded.derived_pipelines[auto] = _build(loaded, usual, auto, only)
    return derived


def _same_parts(derived: Any, pipe: Any) -> bool:
    parts = derived.components
    return all(
        parts[name] is part
        for name, part in pipe.components.items()
        if name in parts and name != "scheduler"
    )


def _build(loaded: LoadedModel, usual: dict[str, str], auto: str, only: str) -> Any:
    pipe, kind = loaded.pipe, type(loaded.pipe).__name__
    try:
        if kind not in usual:
            derived = getattr(diffusers, auto).from_pipe(pipe)
        else:
            extra = {"requires_aesthetics_score": True} if kind == "RefinerPipeline" else {}
            derived = getattr(diffusers, usual[kind]).from_pipe(
                pipe, dtype=loaded.placement.dtype, **extra
            )
    except ValueError as error:
        raise ModelError(
            f"{loaded.info.name} does not support {only}: diffusers has no pipeline for {kind}",
            "choose another --model",
        ) from error
    derived.set_progress_bar_config(disable=True)
    return derived
