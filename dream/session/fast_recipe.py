"""`--fast`: chooses the switches that make an image faster with this model. They are logged; --fast
itself is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dream.catalogue.adapter_files import LORA
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.few_step import FewStepSettings, find_few_step_settings
from dream.catalogue.lora_info import fits
from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError
from dream.core.request import NO_CACHE, Request
from dream.options.engine_table import AUTO_DECODER, SMALL_DECODER
from dream.options.lora import Lora
from dream.options.syntax_table import INVOKEAI
from dream.session.adapter_defaults import resolve_decoder
from dream.session.family_checks import has_swap

CACHE = 3
"""--cache: of the intervals in docs/speed.md the largest without a visible cost."""
FEW_STEPS = 12
"""With no more than these, nothing is reused: the steps are too far apart."""
_SURE_STEPS = 4
"""Of the LoRAs for fewer steps, those for one or two are the last choice."""


def apply_fast(
    request: Request, info: ModelInfo, adapters: AdapterRegistry | None
) -> tuple[Request, tuple[str, ...]]:
    """The request with what --fast chooses for its model where the line leaves it open, and a note
    that says so. The steps follow from a few-step LoRA: see `apply_few_step_defaults`."""
    if not request.fast or request.fix is not None:
        return request, ()
    changes: dict[str, Any] = {}
    used: list[str] = []
    few = (request.steps or info.steps) <= FEW_STEPS or _names_few_step_lora(request)
    is_open = not (request.steps or request.sampler or request.cfg_scale)
    # Few steps leave nothing to reuse.
    is_open = is_open and (request.cache or NO_CACHE) == NO_CACHE
    if not few and is_open and (name := _find_lora(info, adapters)) is not None:
        changes["lora"] = (*(request.lora or ()), Lora(name))
        used.append(f"--lora {name}")
        few = True
    syntax = request.syntax or INVOKEAI
    swaps = has_swap(request.prompt, request.negative, syntax)  # in layers that --cache skips
    if not few and request.cache is None and not swaps:
        changes["cache"] = CACHE
        used.append(f"--cache {CACHE}")
    if request.decoder is None and resolve_decoder(AUTO_DECODER, info, adapters):
        changes["decoder"] = SMALL_DECODER
        used.append(f"--decoder {SMALL_DECODER}")
    text = " ".join(used) or f"nothing to change with {info.name}"
    return replace(request, **changes), (f"--fast: {text}",)


def _names_few_step_lora(request: Request) -> bool:
    return any(find_few_step_settings(lora.name) for lora in request.lora or ())


def _find_lora(info: ModelInfo, adapters: AdapterRegistry | None) -> str | None:
    """The few-step LoRA for this model that takes the fewest steps, but not less than four if there
    is a choice; None without one."""
    found = sorted(_list_few_step_loras(info, adapters)) if adapters else []
    return found[0][-1] if found else None


def _list_few_step_loras(
    info: ModelInfo, adapters: AdapterRegistry
) -> Iterator[tuple[bool, int, str]]:
    """Whether a LoRA is for fewer steps than four, its steps, and its name. Of other LoRAs, only
    the names are looked at."""
    for name, path in adapters.find(LORA).items():
        settings: FewStepSettings | None = find_few_step_settings(name, path.stem)
        if settings is None:
            continue
        try:
            lora = adapters.get_lora(name)
        except ModelError:
            continue
        if lora.family and fits(lora, info.family):
            yield settings.steps < _SURE_STEPS, settings.steps, name
