"""Names of samplers and schedules in other programs, and ours.

Names are compared without case, spaces and signs: `DPM++ 2M SDE`, `dpmpp_2m_sde` and
`k_dpmpp_2m_sde` are one name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from dream.options.sampler_table import ALIASES, SAMPLERS
from dream.options.schedule_table import AUTO, FORMER, SCHEDULES

_SAMPLERS: Mapping[str, str] = MappingProxyType(
    {
        "euler": "k_euler",
        "eulera": "k_euler_a",
        "eulerancestral": "k_euler_a",
        "heun": "k_heun",
        "dpm2": "k_dpm_2",
        "dpm2a": "k_dpm_2_a",
        "dpm2ancestral": "k_dpm_2_a",
        "kdpm2": "k_dpm_2",
        "kdpm2a": "k_dpm_2_a",
        "lms": "k_lms",
        "dpmpp2m": "dpmpp_2m",
        "dpmpp2sa": "k_dpmpp_2_a",
        "dpmpp2sancestral": "k_dpmpp_2_a",
        "dpmppsde": "dpmpp_sde",
        "dpmpp2msde": "dpmpp_2m_sde",
        "dpmpp3msde": "dpmpp_3m_sde",
        "dpmfast": "dpm_fast",
        "unipcbh2": "unipc",
        "ddimv3": "ddim",
    }
)
_SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        "automatic": AUTO,
        "native": AUTO,
        "default": AUTO,
        "normal": "uniform",
        "discrete": "uniform",
        "polyexponential": "exponential",
        "ays": "align_your_steps",
        "k": "karras",
    }
)
_SUFFIXES = ("karras", "exponential", "polyexponential", "ays")
"""Schedules that older versions wrote behind the sampler's name."""

A1111_SAMPLERS: Mapping[str, str] = MappingProxyType(
    {
        "ddim": "DDIM",
        "plms": "PLMS",
        "k_lms": "LMS",
        "k_euler": "Euler",
        "k_euler_a": "Euler a",
        "k_heun": "Heun",
        "k_dpm_2": "DPM2",
        "k_dpm_2_a": "DPM2 a",
        "k_dpmpp_2": "DPM++ 2M",
        "k_dpmpp_2_a": "DPM++ 2S a",
        "dpmpp_2m": "DPM++ 2M",
        "dpmpp_2m_karras": "DPM++ 2M",
        "dpmpp_sde": "DPM++ SDE",
        "dpmpp_2m_sde": "DPM++ 2M SDE",
        "dpmpp_3m_sde": "DPM++ 3M SDE",
        "unipc": "UniPC",
        "deis": "DEIS",
        "lcm": "LCM",
        "ddpm": "DDPM",
        "dpm_fast": "DPM fast",
        "restart": "Restart",
        "res_multistep": "Res Multistep",
        "er_sde": "ER SDE",
        "tcd": "TCD",
    }
)
"""Our samplers' names in AUTOMATIC1111 and Forge; others keep ours there."""
A1111_SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        AUTO: "Automatic",
        "model": "Automatic",
        "uniform": "Uniform",
        "karras": "Karras",
        "exponential": "Exponential",
        "beta": "Beta",
        "sgm_uniform": "SGM Uniform",
        "simple": "Simple",
        "kl_optimal": "KL Optimal",
        "align_your_steps": "Align Your Steps",
        FORMER: "Automatic",
    }
)


class ForeignSampling(NamedTuple):
    """Ours for another program's names; None: there is none, or none was named."""

    sampler: str | None
    schedule: str | None
    unknown: tuple[str, ...] = ()
    """Those names that have no counterpart."""


def find_sampling(sampler: str, schedule: str) -> ForeignSampling:
    """Our sampler and schedule for another program's names; empty ones were not recorded."""
    name, plan = _fold(sampler), _fold(schedule)
    unknown = []
    known_sampler = _find_sampler(name)
    if name and known_sampler is None:
        stem, suffix = _split_suffix(name)
        if _find_sampler(stem):
            known_sampler, plan = (
                _find_sampler(stem),
                plan if plan not in ("", "automatic") else suffix,
            )
        elif name not in ("default", "linear"):
            unknown.append(f"sampler {sampler[:40]}")
    known = _find_schedule(plan)
    if plan and known is None:
        unknown.append(f"schedule {schedule[:40] or plan}")
    return ForeignSampling(known_sampler, None if known == AUTO else known, tuple(unknown))


def _fold(name: str) -> str:
    text = name[:80].casefold().replace("++", "pp").removesuffix("_gpu")
    return re.sub(r"[^a-z0-9]", "", text.removeprefix("sample_").removeprefix("k_"))


_OURS = {_fold(name): name for name in SAMPLERS} | {_fold(old): new for old, new in ALIASES.items()}
_OUR_SCHEDULES = {_fold(name): name for name in SCHEDULES if name not in (FORMER, "model")}


def _find_sampler(name: str) -> str | None:
    return _SAMPLERS.get(name) or _OURS.get(name)


def _find_schedule(plan: str) -> str | None:
    return _SCHEDULES.get(plan) or _OUR_SCHEDULES.get(plan)


def _split_suffix(name: str) -> tuple[str, str]:
    for suffix in (*_SUFFIXES, *_OUR_SCHEDULES, "discrete"):
        if name.endswith(suffix) and len(name) > len(suffix):
            return name.removesuffix(suffix), suffix
    if name.endswith("k"):  # InvokeAI's `dpmpp_2m_k`
        return name[:-1], "k"
    return name, ""
