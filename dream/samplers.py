"""The samplers, one row each: our name, diffusers' scheduler, its settings, the paper.

A scheduler is made from the model's own scheduler configuration plus the row's settings, so that
betas and prediction type stay the model's. Every row draws its noise from the picture's generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Sampler:
    """One row. `scheduler` names a class of the diffusers package; nothing is imported here."""

    name: str
    scheduler: str
    paper: str
    settings: Mapping[str, object] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    """Spellings of other eras and tools; read, never written."""


_PLAIN = {"use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False}
_KARRAS = {**_PLAIN, "use_karras_sigmas": True}
_DPMPP = {"algorithm_type": "dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero", **_PLAIN}

_DDIM = "Song et al. 2020, arXiv:2010.02502"
_PNDM = "Liu et al. 2022, arXiv:2202.09778"
_EDM = "Karras et al. 2022, arXiv:2206.00364"
_DPM = "Lu et al. 2022, arXiv:2206.00927"
_DPMPP_PAPER = "Lu et al. 2022, arXiv:2211.01095"

ROWS = (
    Sampler("ddim", "DDIMScheduler", _DDIM, {"clip_sample": False}),
    Sampler("plms", "PNDMScheduler", _PNDM, {"skip_prk_steps": True}, ("pndm",)),
    Sampler(
        "k_lms", "LMSDiscreteScheduler", f"linear multistep over {_EDM}", _PLAIN, ("klms", "lms")
    ),
    Sampler("k_euler", "EulerDiscreteScheduler", _EDM, _PLAIN, ("euler",)),
    Sampler("k_euler_a", "EulerAncestralDiscreteScheduler", _EDM, {}, ("euler_a",)),
    Sampler("k_heun", "HeunDiscreteScheduler", _EDM, _PLAIN, ("heun",)),
    Sampler("k_dpm_2", "KDPM2DiscreteScheduler", f"{_DPM}, as in {_EDM}", _PLAIN, ("dpm2",)),
    Sampler(
        "k_dpm_2_a", "KDPM2AncestralDiscreteScheduler", f"{_DPM}, as in {_EDM}", _PLAIN, ("dpm2_a",)
    ),
    Sampler("k_dpmpp_2", "DPMSolverMultistepScheduler", _DPMPP_PAPER, _DPMPP),
    Sampler(
        "k_dpmpp_2_a",
        "DPMSolverSinglestepScheduler",
        f"{_DPMPP_PAPER}, stochastic as in arXiv:2305.14267",
        {**_DPMPP, "algorithm_type": "sde-dpmsolver++"},
    ),
    Sampler("dpmpp_2m", "DPMSolverMultistepScheduler", _DPMPP_PAPER, _DPMPP, ("k_dpmpp_2m",)),
    Sampler(
        "dpmpp_2m_karras",
        "DPMSolverMultistepScheduler",
        f"{_DPMPP_PAPER}, sigmas of {_EDM}",
        {**_DPMPP, **_KARRAS},
        ("k_dpmpp_2m_karras",),
    ),
    Sampler(
        # diffusers' DPMSolverSDEScheduler ignores the generator; the multistep one obeys it.
        "dpmpp_sde",
        "DPMSolverMultistepScheduler",
        f"{_DPMPP_PAPER}, stochastic as in arXiv:2305.14267",
        {**_DPMPP, "algorithm_type": "sde-dpmsolver++"},
        ("k_dpmpp_sde", "dpmpp_2m_sde"),
    ),
    Sampler(
        "unipc",
        "UniPCMultistepScheduler",
        "Zhao et al. 2023, arXiv:2302.04867",
        _PLAIN,
        ("uni_pc",),
    ),
    Sampler("deis", "DEISMultistepScheduler", "Zhang and Chen 2022, arXiv:2204.13902", _PLAIN),
    Sampler("lcm", "LCMScheduler", "Luo et al. 2023, arXiv:2310.04378"),
    Sampler("ddpm", "DDPMScheduler", "Ho et al. 2020, arXiv:2006.11239", {"clip_sample": False}),
)

SAMPLERS: Mapping[str, Sampler] = MappingProxyType({row.name: row for row in ROWS})
ALIASES: Mapping[str, str] = MappingProxyType(
    {alias: row.name for row in ROWS for alias in row.aliases}
)
