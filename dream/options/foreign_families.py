"""Families that dream only knows by name: what such a file is, and what to do."""

from __future__ import annotations

from dream.options.family import Family

_FOLDER = "load it from its folder in diffusers layout, or by its hub id"

OTHERS = (
    Family(
        key="anima",
        name="Anima",
        marks=(("^llm_adapter.blocks.",),),
        instead="diffusers has no pipeline for Anima; choose another model",
    ),
    Family(
        key="wan",
        name="Wan, a video model",
        marks=(("^blocks.0.self_attn.q.", "^patch_embedding."),),
        instead="dream makes images; choose an image model",
    ),
    Family(
        key="svd",
        name="Stable Video Diffusion, a video model",
        marks=(("^input_blocks.1.0.time_stack.",),),
        instead="dream makes images; choose an image model",
    ),
    Family(
        key="unclip",
        name="Stable Diffusion 2.1 unCLIP, which needs an input image",
        marks=(("^embedder.model.visual.",), ("^noise_augmentor.",)),
        instead=_FOLDER,
    ),
    Family(
        key="nunchaku",
        name="a model for nunchaku",
        marks=((".qweight$", ".wscales$"),),
        instead="use a float16, bfloat16 or fp8 file",
    ),
)
"""Those that dream knows by name only."""
