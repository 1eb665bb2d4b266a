"""The table of samplers, one row each.

A row names a function of `engine.sampling.solvers`, `dpm_solver` or `stochastic`; a few also name a
scheduler of diffusers, for the schedule that they have always used here. Every sampler works with
every schedule (`dream.options.schedule_table`), and draws its noise from the image's generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class SamplerSpec:
    """One row. Nothing is imported here."""

    name: str
    solver: str
    """The function with the algorithm."""
    paper: str
    order: str
    """Of convergence, as measured: a multistep method begins with steps of lower order, which
    limits the result. "–" for samplers that add noise."""
    calls: str = "n"
    """Calls of the denoiser for n steps."""
    adds_noise: bool = False
    """Whether it adds noise at each step."""
    aliases: tuple[str, ...] = ()
    """Names in older versions and other tools; read, never written."""
    schedule: str = "model"
    """The default schedule; as in AUTOMATIC1111's web UI for those that need it."""
    spacing: str = "linspace"
    """Timestep spacing of the schedule "model", if the model's configuration has none."""
    scheduler: str = ""
    """A class of diffusers, for the schedule `diffusers_schedule`."""
    settings: Mapping[str, object] = field(default_factory=dict)
    diffusers_schedule: str = ""
    flow: str = ""
    """For flow matching: "linear" or "logarithmic" in sigma; empty if not supported."""
    from_image: str = ""
    """The function for runs that start from an image, if it is another."""
    uses_ends_only: bool = False
    """Whether it uses only the first and the last sigma of a schedule."""
    adaptive: bool = False
    """Whether it decides during the run how many calls it makes."""


_DPMPP = {
    "algorithm_type": "dpmsolver++",
    "solver_order": 2,
    "solver_type": "midpoint",
    "final_sigmas_type": "zero",
    "lower_order_final": True,
    "euler_at_final": False,
    "use_lu_lambdas": False,
    "thresholding": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "use_karras_sigmas": True,
}
"""All settings that change pixels, so that a model's configuration does not."""

_DDIM = "Song et al. 2020, arXiv:2010.02502"
_PNDM = "Liu et al. 2022, arXiv:2202.09778"
_EDM = "Karras et al. 2022, arXiv:2206.00364"
_DPM = "Lu et al. 2022, arXiv:2206.00927"
_DPMPP_PAPER = "Lu et al. 2022, arXiv:2211.01095"
_SDE = f"{_DPMPP_PAPER}, and arXiv:2305.14267"

SAMPLER_TABLE = (
    SamplerSpec(
        "ddim",
        "euler",
        _DDIM,
        "1",
        spacing="leading",
        scheduler="DDIMScheduler",
        settings={"clip_sample": False, "thresholding": False},
        diffusers_schedule="model",
    ),
    SamplerSpec(
        "plms",
        "plms",
        _PNDM,
        "2",
        calls="n + 1",
        spacing="leading",
        from_image="plms_3",
        aliases=("pndm",),
    ),
    SamplerSpec(
        "k_lms",
        "lms",
        f"linear multistep of order 4 over {_EDM}",
        "2",
        flow="linear",
        aliases=("klms", "lms"),
    ),
    SamplerSpec("k_euler", "euler", _EDM, "1", flow="linear", aliases=("euler",)),
    SamplerSpec("k_euler_a", "euler_ancestral", _EDM, "–", adds_noise=True, aliases=("euler_a",)),
    SamplerSpec("k_heun", "heun", _EDM, "2", calls="2n - 1", flow="linear", aliases=("heun",)),
    SamplerSpec(
        "k_dpm_2",
        "dpm_2",
        f"{_DPM}, as in {_EDM}",
        "2",
        calls="2n - 1",
        flow="linear",
        aliases=("dpm2",),
    ),
    SamplerSpec(
        "k_dpm_2_a",
        "dpm_2_ancestral",
        f"{_DPM}, as in {_EDM}",
        "–",
        calls="2n - 1",
        adds_noise=True,
        schedule="karras",
        aliases=("dpm2_a",),
    ),
    SamplerSpec("k_dpmpp_2", "dpmpp_2m", _DPMPP_PAPER, "2", flow="logarithmic"),
    SamplerSpec(
        "k_dpmpp_2_a",
        "dpmpp_2s_ancestral",
        _DPMPP_PAPER,
        "–",
        calls="2n - 1",
        adds_noise=True,
        aliases=("k_dpmpp_2s_a", "dpmpp_2s_a", "dpmpp_2s_ancestral"),
    ),
    SamplerSpec(
        "dpmpp_2m",
        "dpmpp_2m",
        _DPMPP_PAPER,
        "2",
        scheduler="DPMSolverMultistepScheduler",
        settings=_DPMPP,
        diffusers_schedule="karras",
        flow="logarithmic",
        aliases=("k_dpmpp_2m",),
    ),
    SamplerSpec(
        "dpmpp_2m_karras",
        "dpmpp_2m",
        f"{_DPMPP_PAPER}, sigmas of {_EDM}",
        "2",
        schedule="karras",
        scheduler="DPMSolverMultistepScheduler",
        settings=_DPMPP,
        diffusers_schedule="karras",
        flow="logarithmic",
        aliases=("k_dpmpp_2m_karras",),
    ),
    SamplerSpec(
        "dpmpp_sde",
        "dpmpp_sde",
        _SDE,
        "–",
        calls="2n - 1",
        adds_noise=True,
        schedule="karras",
        aliases=("k_dpmpp_sde",),
    ),
    SamplerSpec(
        "dpmpp_2m_sde",
        "dpmpp_2m_sde",
        _SDE,
        "–",
        adds_noise=True,
        schedule="exponential",
        aliases=("k_dpmpp_2m_sde",),
    ),
    SamplerSpec(
        "unipc",
        "unipc",
        "Zhao et al. 2023, arXiv:2302.04867",
        "2",
        flow="logarithmic",
        aliases=("uni_pc",),
    ),
    SamplerSpec("deis", "deis", "Zhang and Chen 2022, arXiv:2204.13902", "2"),
    SamplerSpec(
        "lcm",
        "lcm",
        "Luo et al. 2023, arXiv:2310.04378",
        "–",
        adds_noise=True,
        spacing="trailing",
        scheduler="LCMScheduler",
        settings={"clip_sample": False, "thresholding": False},
        diffusers_schedule="model",
    ),
    SamplerSpec(
        "ddpm",
        "euler_ancestral",
        "Ho et al. 2020, arXiv:2006.11239",
        "–",
        adds_noise=True,
        spacing="leading",
        scheduler="DDPMScheduler",
        settings={"clip_sample": False, "thresholding": False},
        diffusers_schedule="model",
    ),
    SamplerSpec(
        "dpmpp_3m_sde",
        "dpmpp_3m_sde",
        f"{_DPMPP_PAPER}, as in k-diffusion",
        "–",
        adds_noise=True,
        schedule="exponential",
        aliases=("k_dpmpp_3m_sde",),
    ),
    SamplerSpec("dpm_fast", "dpm_fast", _DPM, "3", uses_ends_only=True, aliases=("k_dpm_fast",)),
    SamplerSpec(
        "dpm_adaptive",
        "dpm_adaptive",
        f"{_DPM}, appendix C",
        "3, adaptive",
        calls="as many as the image needs",
        uses_ends_only=True,
        adaptive=True,
        aliases=("k_dpm_adaptive", "k_dpm_ad"),
    ),
    SamplerSpec(
        "k_euler_churn",
        "euler_churn",
        f"{_EDM}, S_churn 40",
        "–",
        adds_noise=True,
        aliases=("euler_churn",),
    ),
    SamplerSpec(
        "k_heun_churn",
        "heun_churn",
        f"{_EDM}, S_churn 40",
        "–",
        calls="2n - 1",
        adds_noise=True,
        schedule="karras",
        aliases=("heun_churn",),
    ),
    SamplerSpec(
        "restart",
        "restart",
        "Xu et al. 2023, arXiv:2306.14878",
        "–",
        calls="2n - 1, and a part twice",
        adds_noise=True,
        schedule="karras",
    ),
    SamplerSpec("res_multistep", "res_multistep", "Zhang et al. 2023, arXiv:2308.02157", "2"),
    SamplerSpec("er_sde", "er_sde", "Cui et al. 2023, arXiv:2309.06169", "–", adds_noise=True),
    SamplerSpec(
        "tcd",
        "tcd",
        "Zheng et al. 2024, arXiv:2402.19159",
        "–",
        adds_noise=True,
        spacing="trailing",
    ),
)

SAMPLERS: Mapping[str, SamplerSpec] = MappingProxyType({row.name: row for row in SAMPLER_TABLE})
ALIASES: Mapping[str, str] = MappingProxyType(
    {alias: row.name for row in SAMPLER_TABLE for alias in row.aliases}
)
