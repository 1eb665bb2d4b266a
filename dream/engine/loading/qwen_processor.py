"""What Qwen2.5-VL needs to see images, for the models that edit with it."""

from __future__ import annotations

from inspect import signature
from typing import Any

import transformers

from dream.core.errors import ModelError

_PIXELS = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 16384}
"""Least and most pixels of an image, as in Qwen2.5-VL's preprocessor_config.json. The library's
default is less than the images of Qwen-Image-Edit have."""
_KINDS = "mm_token_type_ids"


def build_processor(tokenizer: Any) -> Any:
    """The processor of Qwen-Image-Edit, with this tokenizer; everything else is as published."""
    return transformers.Qwen2VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(size=_PIXELS),
        tokenizer=tokenizer,
        video_processor=transformers.Qwen2VLVideoProcessor(),
    )


def place_images(pipe: Any, model: str) -> None:
    """Gives a pipeline's text encoder the positions of images in two dimensions.

    transformers computes them from the kind of each token, which diffusers' pipelines do not pass
    on; without it, every image would be read as one long line. Raises ModelError for a text encoder
    that cannot see.
    """
    text_encoder = pipe.text_encoder
    if getattr(text_encoder.model, "visual", None) is None:
        raise ModelError(
            f"the text encoder of {model} has no vision tower, which it needs to see images",
            "use a file with it, as qwen_2.5_vl_7b.safetensors, or put its mmproj file beside it",
        )
    if _KINDS not in signature(text_encoder.forward).parameters:
        return  # a version that takes them from the tokens
    text_encoder.config.image_token_id = pipe.processor.image_token_id
    text_encoder.register_forward_pre_hook(_add_kinds, with_kwargs=True)


def _add_kinds(
    text_encoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if kwargs.get("image_grid_thw") is None or kwargs.get(_KINDS) is not None:
        return args, kwargs
    kinds = (kwargs["input_ids"] == text_encoder.config.image_token_id).int()
    return args, {**kwargs, _KINDS: kinds}
