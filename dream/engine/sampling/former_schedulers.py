"""The samplers as they were before `--schedule`: lines logged then are rendered with them.

Nothing here is corrected. Such a line gives its image again, and some of these are not what their
names say: `k_dpmpp_2_a` is not DPM++ 2S, `dpmpp_sde` is DPM++ 2M SDE, `k_lms` starts at order four
wherever it starts, `plms` mixes velocities of different steps, and seven of them do not support a
schedule with zero terminal SNR.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from dream.engine.sampling.float32 import in_float32

_PLAIN = {"use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False}
_KARRAS = {**_PLAIN, "use_karras_sigmas": True}
_DPMPP = {"algorithm_type": "dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero", **_PLAIN}
_SDE = {**_DPMPP, "algorithm_type": "sde-dpmsolver++"}

_ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "ddim": ("DDIMScheduler", {"clip_sample": False}),
        "plms": ("PNDMScheduler", {"skip_prk_steps": True}),
        "k_lms": ("LMSDiscreteScheduler", _PLAIN),
        "k_euler": ("EulerDiscreteScheduler", _PLAIN),
        "k_euler_a": ("EulerAncestralDiscreteScheduler", {}),
        "k_heun": ("HeunDiscreteScheduler", _PLAIN),
        "k_dpm_2": ("KDPM2DiscreteScheduler", _PLAIN),
        "k_dpm_2_a": ("KDPM2AncestralDiscreteScheduler", _PLAIN),
        "k_dpmpp_2": ("DPMSolverMultistepScheduler", _DPMPP),
        "k_dpmpp_2_a": ("DPMSolverSinglestepScheduler", _SDE),
        "dpmpp_2m": ("DPMSolverMultistepScheduler", _DPMPP),
        "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", {**_DPMPP, **_KARRAS}),
        "dpmpp_sde": ("DPMSolverMultistepScheduler", _SDE),
        "unipc": ("UniPCMultistepScheduler", _PLAIN),
        "deis": ("DEISMultistepScheduler", _PLAIN),
        "lcm": ("LCMScheduler", {}),
        "ddpm": ("DDPMScheduler", {"clip_sample": False}),
    }
)
"""A scheduler of diffusers, and the settings that override the model's."""


def former_scheduler(
    sampler: str,
    config: Mapping[str, Any],
    steps: int,
    dtype: torch.dtype,
    *,
    threshold: float = 0.0,
    karras_max: int | None = None,
) -> Any:
    """The scheduler that `sampler` was, one of FORMER_SAMPLERS."""
    kind, settings = _ROWS[sampler]
    settings = dict(settings)
    if karras_max is not None and sampler.startswith("k_") and "use_karras_sigmas" in settings:
        settings["use_karras_sigmas"] = steps < karras_max
    if kind == "LCMScheduler":
        # It picks its steps out of this many, and refuses more of them.
        settings["original_inference_steps"] = max(50, steps)
    scheduler = in_float32(kind).from_config(config, **settings)
    scheduler.network_dtype = dtype
    scheduler.threshold = threshold
    return scheduler
