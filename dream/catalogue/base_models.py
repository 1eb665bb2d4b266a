"""Finds the base model of a UNet that is alone in its file: the text encoders, the VAE and the
noise schedule are the base's.

Of several of its family, the one that models.toml names (`base`) is used; else one that was not
distilled to few steps, of usual name, and last the first by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dream.catalogue.detect import DetectedModel, detect
from dream.catalogue.discovery import find_models
from dream.catalogue.model_info import BASE, ModelInfo, PartFile
from dream.catalogue.read_model_info import read_model
from dream.core.errors import ModelError
from dream.options.family_table import get_family

_USUAL = {
    "sd1": r"v1-5|sd-?1[.-]5|stable-diffusion-v1",
    "sd2": r"v2-1|sd-?2[.-]1|stable-diffusion-2",
    "sdxl": r"sd_?xl_base|stable-diffusion-xl-base",
}
"""Patterns for the lower-case names of the families' own base models."""


def with_base_model(info: ModelInfo, detected: DetectedModel, dirs: Sequence[Path]) -> ModelInfo:
    """The model of a lone UNet with its base model, or with what it lacks."""
    bases = list_base_models(detected, dirs)
    named = [base for base in bases if info.base in (base.name, str(base.path))]
    if info.base and not named:
        return replace(info, missing=(_describe_missing(detected, info.base),))
    if not bases:
        return replace(info, missing=(_describe_missing(detected),))
    base = min(named or bases, key=lambda one: _rank(one, detected.family))
    part = PartFile(part=BASE, path=base.path, kind=base.family, name=base.name)
    return replace(info, parts=(part,))


def list_base_models(detected: DetectedModel, dirs: Sequence[Path]) -> list[ModelInfo]:
    """The models in the models folders that can be the base of this UNet."""
    refines = detected.variant == "refiner"
    bases = []
    for name, path in find_models(dirs).items():
        try:
            if path.is_file() and (detect(path).lone_unet or detect(path).wanted):
                continue
            base = read_model(name, path, _ignore)
        except ModelError:  # `!models` says so
            continue
        if base.family == detected.family and (base.variant == "refiner") == refines:
            bases.append(base)
    return bases


def _rank(base: ModelInfo, family: str) -> tuple[object, ...]:
    """The lowest is used."""
    usual = re.search(_USUAL[family], base.name.lower()) is not None
    return bool(base.defaults_from), bool(base.variant), not usual, base.name


def _describe_missing(detected: DetectedModel, named: str = "") -> str:
    title = get_family(detected.family).title
    if named:
        hint = f"choose a {title} with !edit_model NAME base OTHER"
        return f"its base model ({named} is not a {title} in the models folders): {hint}"
    return f"its base model (it is a UNet alone): put a whole {title} into a models folder"


def _ignore(complaint: str) -> None:
    """`ModelRegistry.check_models` reports them."""
