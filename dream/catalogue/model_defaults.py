"""The defaults of a model: its family's, or those of models that were distilled to few steps."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from dream.catalogue.model_info import ModelInfo
from dream.options.family import Distilled, Family
from dream.options.family_table import get_family

_MAX_STEPS = 50
"""Steps that a name may say of a distilled model."""


_FLOW, _FLOW_SAMPLER = "FlowMatchEulerDiscreteScheduler", "k_euler"
"""Models of flow matching are trained for few, straight steps over their own list of sigmas."""


def apply_family_defaults(
    info: ModelInfo, scheduler: Mapping[str, Any] = MappingProxyType({})
) -> ModelInfo:
    """The model with the steps and the guidance of its family, or of its variant; and with the
    sampler for its scheduler's configuration, which for a file is the family's."""
    family = get_family(info.family)
    origin = f"usual for {family.title}"
    info = info.with_defaults(origin, steps=family.steps, cfg_scale=family.cfg_scale)
    noise = scheduler or family.scheduler
    if noise and noise.get("_class_name", _FLOW) == _FLOW:
        info = info.with_defaults("usual for flow matching", sampler=_FLOW_SAMPLER)
    wide = family.find_wide(info.variant)
    return info.with_defaults(f"usual for {wide.name}", cfg_scale=wide.cfg_scale) if wide else info


def apply_distilled(
    info: ModelInfo,
    names: Collection[str],
    *,
    index: Mapping[str, Any] = MappingProxyType({}),
    scheduler: Mapping[str, Any] = MappingProxyType({}),
    marks: Collection[str] | None = None,
    title: str = "",
) -> ModelInfo:
    """The model with the defaults of its distillation, if it is distilled.

    What decides is, in this order: a flag in model_index.json, the scheduler's shift, missing
    tensors, the title in the file's metadata, and last its name. `names` are its own and those of
    its file or folder; `marks` those tensors of a file that can decide, None for a folder.
    """
    family = get_family(info.family)
    for row in family.distilled:
        origin = _find_sign(row, index, scheduler, marks)
        if origin:
            return _with_row(info, family, row, 0, origin)
    for text, origin in ((title, "the file's metadata"), *((name, "its name") for name in names)):
        for row in family.distilled:
            if match := re.search(row.pattern, text.lower()):
                steps = next(
                    (int(number) for number in match.groups() if number and number.isdecimal()), 0
                )
                return _with_row(info, family, row, steps, f"{origin} ({text})")
    return info


def _find_sign(
    row: Distilled,
    index: Mapping[str, Any],
    scheduler: Mapping[str, Any],
    marks: Collection[str] | None,
) -> str:
    """What says that a model is the row's, apart from its name; empty if nothing does."""
    if row.flag and index.get(row.flag) is True:
        return f"{row.flag} in model_index.json"
    if row.shift and scheduler.get("shift") == row.shift:
        return f"its scheduler's shift of {row.shift:g}"
    if row.lacks and marks is not None and not any(name in marks for name in row.lacks):
        return "its tensors"
    return ""


def _with_row(
    info: ModelInfo, family: Family, row: Distilled, steps: int, origin: str
) -> ModelInfo:
    steps = steps if 0 < steps <= _MAX_STEPS else row.steps
    values: dict[str, Any] = {"steps": steps, "cfg_scale": row.cfg_scale}
    if row.sampler:
        values["sampler"] = row.sampler
    if row.side:
        values |= {"width": row.side, "height": row.side}
    return replace(
        info.with_defaults(origin, **values),
        defaults_from=origin,
        pipeline_settings=((row.flag, True),) if row.flag else (),
        scheduler=(*row.scheduler.items(), *((("shift", row.shift),) if row.shift else ())),
    )
