"""Switches of CompVis' and diffusers' scripts and of other programs, and what they are here.

They are not read: several mean something slightly different there. The error names ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FOREIGN_SWITCHES: Mapping[str, str] = MappingProxyType(
    {
        "--H": "-H (--height)",
        "--W": "-W (--width)",
        "--n_samples": "-n (--iterations)",
        "--n_iter": "-n (--iterations)",
        "--scale": "-C (--cfg_scale)",
        "--ddim_steps": "-s (--steps)",
        "--skip_grid": "--no-grid",
        "--plms": "-A plms (--sampler plms)",
        "--dpm_solver": "-A dpmpp_2m (--sampler dpmpp_2m)",
        "--ckpt": "--model",
        "--weights": "--model",
        "--free_gpu_mem": "--low_memory",
        "--num_inference_steps": "-s (--steps)",
        "--guidance_scale": "-C (--cfg_scale)",
        "--num_images_per_prompt": "-n (--iterations)",
    }
)
"""A foreign long name, with underscores, and ours as one types it. Names that both have, such as
`--init-img`, `--strength`, `--outdir` and `--seed`, are simply read."""
