"""Detects LoRAs that let a model work in a few steps, and the settings that each needs.

Such files do not say what they are, except by their names, which are those that their authors
published them under: LCM-LoRA (Luo et al. 2023, arXiv:2311.05556), SDXL-Lightning (Lin et al. 2024,
arXiv:2402.13929), Hyper-SD (Ren et al. 2024, arXiv:2404.13686), DMD2 (Yin et al. 2024,
arXiv:2405.14867), SDXL-Turbo (Sauer et al. 2023, arXiv:2311.17042), and those for FLUX.1 and
Qwen-Image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STEPS = re.compile(r"(?<![0-9])(1|2|4|6|8|12|16)[ _-]?steps?(?![a-z])")


@dataclass(frozen=True)
class FewStepSettings:
    """What a few-step LoRA was trained for."""

    called: str
    steps: int
    cfg_scale: float
    sampler: str = ""
    """Empty: the model's own, for models of flow matching."""
    schedule: str = ""
    """Empty: the sampler's."""


@dataclass(frozen=True)
class _Row:
    pattern: re.Pattern[str]
    settings: FewStepSettings
    flow: bool = False
    """Whether it is for FLUX.1 or Qwen-Image, which keep their sampler."""


def _row(
    pattern: str, called: str, steps: int, cfg: float, *names: str, flow: bool = False
) -> _Row:
    return _Row(re.compile(pattern), FewStepSettings(called, steps, cfg, *names), flow)


_ROWS = (
    _row(r"hyper.*flux", "Hyper-FLUX", 8, 3.5, flow=True),
    _row(r"flux.*turbo", "FLUX Turbo", 8, 3.5, flow=True),
    _row(r"qwen.*lightning", "Qwen-Image-Lightning", 8, 1.0, flow=True),
    _row(r"hyper.*sd.*cfg", "Hyper-SD", 8, 5.0, "ddim", "sgm_uniform"),
    _row(r"hyper.*sd", "Hyper-SD", 8, 1.0, "tcd", "sgm_uniform"),
    _row(
        r"(?=.*lightning)(?=.*(sdxl|xl|lora))", "SDXL-Lightning", 4, 1.0, "k_euler", "sgm_uniform"
    ),
    _row(r"dmd2", "DMD2", 4, 1.0, "lcm"),
    _row(r"sd_?xl_?turbo", "SDXL-Turbo", 4, 1.0, "k_euler_a"),
    _row(r"(?:^|[^a-z])lcm(?:[^a-z]|$)", "LCM-LoRA", 4, 1.0, "lcm"),
    _row(r"(?:^|[^a-z])tcd(?:[^a-z]|$)", "TCD-LoRA", 4, 1.0, "tcd"),
)
"""The first row whose pattern is in a LoRA's name is used; a number of steps in the name counts."""


def find_few_step_settings(*names: str) -> FewStepSettings | None:
    """The settings for a few-step LoRA with these names: the file's, its folder's, the one that its
    trainer gave it. None if it is not one."""
    for name in (name.casefold() for name in names if name):
        for row in _ROWS:
            if row.pattern.search(name):
                steps = _STEPS.search(name)
                settings = row.settings
                count = int(steps[1]) if steps else settings.steps
                return FewStepSettings(
                    settings.called, count, settings.cfg_scale, settings.sampler, settings.schedule
                )
    return None
