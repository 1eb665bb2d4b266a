"""Resolves --image_prompt: which IP-Adapter reads the images, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dream.catalogue.image_prompt_files import choose_image_prompt_model
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.unet_widths import read_unet_widths
from dream.core.request import Request
from dream.options.control import ImagePrompt
from dream.session.family_checks import check_family


def resolve_image_prompts(
    request: Request, info: ModelInfo, models_dirs: Sequence[Path] | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The recipe's fields for image prompts, and notes; without `models_dirs`, no IP-Adapter is
    looked up. Raises ModelError for one that does not exist or is for other models."""
    name = request.image_prompt_model
    if not request.image_prompt:
        notes = ("--image_prompt_model is ignored: there is no --image_prompt",) if name else ()
        return {}, notes
    check_family(Request(image_prompt=request.image_prompt), info)
    values: dict[str, Any] = {
        "image_prompt": tuple(ImagePrompt(*prompt) for prompt in request.image_prompt),
        "image_prompt_model": name,
    }
    if models_dirs is not None:
        widths = read_unet_widths(info)
        chosen = choose_image_prompt_model(info.family, name, models_dirs, widths)
        values["image_prompt_model"] = chosen.name
    return values, ()
