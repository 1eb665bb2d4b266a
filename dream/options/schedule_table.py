"""The schedules: lists of sigmas for a sampler. `engine.sampling.sigma_schedules` computes them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dream.options.sampler_table import SAMPLERS

AUTO = "auto"
FORMER = "former"
SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        AUTO: "the sampler's default",
        "model": "the timesteps in the model's configuration; uniform if there are none",
        "uniform": "even in time, from the noisiest timestep to the cleanest",
        "karras": "Karras et al. 2022, arXiv:2206.00364: more steps where little noise is left",
        "exponential": "even in log sigma",
        "beta": "Lee et al. 2024, arXiv:2407.12173: more steps at both ends",
        "sgm_uniform": "even in time, without the cleanest timestep",
        "simple": "every n-th sigma, from the noisiest",
        "kl_optimal": "Sabour et al. 2024, arXiv:2404.14507: even in arctan sigma",
        "align_your_steps": "Sabour et al. 2024, arXiv:2404.14507: lists for Stable Diffusion",
        FORMER: "as dream rendered before this switch existed",
    }
)
"""The values of `--schedule`. A recipe has any of them but the first, AUTO."""

FORMER_SAMPLERS = frozenset(
    [
        "ddim",
        "plms",
        "k_lms",
        "k_euler",
        "k_euler_a",
        "k_heun",
        "k_dpm_2",
        "k_dpm_2_a",
        "k_dpmpp_2",
        "k_dpmpp_2_a",
        "dpmpp_2m",
        "dpmpp_2m_karras",
        "dpmpp_sde",
        "unipc",
        "deis",
        "lcm",
        "ddpm",
    ]
)
"""The samplers that existed before there were schedules."""


def resolve_schedule(sampler: str, schedule: str | None, steps: int, karras_max: int | None) -> str:
    """The schedule to use: the requested one, else Karras if `--karras_max` requires it for a k_
    sampler, else the sampler's default."""
    if schedule not in (None, AUTO):
        return schedule
    if karras_max is not None and sampler.startswith("k_") and steps < karras_max:
        return "karras"
    return SAMPLERS[sampler].schedule
