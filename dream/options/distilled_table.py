"""How models that were distilled to few steps are called, and their defaults."""

from __future__ import annotations

from dream.options.family import Distilled

FEW_STEPS = (
    Distilled(pattern=r"lightning.*?(\d+)\s*[-_]?step|(\d+)[-_ ]?steps?.*lightning", steps=8),
    Distilled(pattern=r"lightning", steps=8),
    Distilled(pattern=r"hyper.*?(\d+)[-_ ]?steps?", steps=8),
    Distilled(pattern=r"(?<![a-z])(\d+)[-_ ]?steps?", steps=8),
)
"""Distillations of transformers."""
FEW_STEPS_UNET = (
    Distilled(
        pattern=r"lightning.*?(\d+)[-_ ]?step|(\d+)[-_ ]?steps?.*lightning",
        steps=4,
        sampler="k_euler",
    ),
    Distilled(pattern=r"lightning", steps=8, cfg_scale=2.0, sampler="k_euler"),
    Distilled(pattern=r"hyper.*?(\d+)[-_ ]?steps?", steps=8, sampler="ddim"),
    Distilled(pattern=r"dmd2?(?![a-z])", steps=4, sampler="lcm"),
    Distilled(pattern=r"(?<![a-z])lcm(?![a-z])", steps=6, cfg_scale=1.5, sampler="lcm"),
    Distilled(
        pattern=r"(?:sd[-_]?xl|sd|stable.diffusion)[-_ ]turbo",
        steps=4,
        sampler="k_euler_a",
        side=512,
    ),
    Distilled(pattern=r"turbo", steps=8, cfg_scale=2.0, sampler="k_euler_a"),
)
"""Distillations of Stable Diffusion 1, 2 and XL."""
