"""Small models of the newest families and of perturbed attention (PAG), with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.random_families import SMALL, WIDE, make_pixart, qwen_tokenizer, t5_tokenizer
from tests.random_layouts import make_autoencoder
from tests.random_others import gemma, make_hunyuan_dit, make_sana


def make_cogview_4() -> Any:
    import diffusers
    from transformers import GlmConfig, GlmModel

    transformer = diffusers.CogView4Transformer2DModel(
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=4,
        num_attention_heads=4,
        text_embed_dim=WIDE,
        time_embed_dim=8,
        condition_dim=4,
    )
    return diffusers.CogView4Pipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=GlmModel(GlmConfig(**SMALL, head_dim=8)),
        vae=make_autoencoder(4),
        transformer=transformer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            base_shift=0.25, max_shift=0.75, use_dynamic_shifting=True, time_shift_type="linear"
        ),
    )


def make_lumina(folder: Path) -> Any:
    import diffusers

    transformer = diffusers.LuminaNextDiT2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        hidden_size=24,
        num_layers=2,
        num_attention_heads=3,
        num_kv_heads=1,
        multiple_of=16,
        ffn_dim_multiplier=None,
        cross_attention_dim=8,
    )
    return diffusers.LuminaPipeline(
        transformer=transformer,
        vae=make_autoencoder(4),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        text_encoder=gemma(),
        tokenizer=qwen_tokenizer(folder),
    )


def make_ovis(folder: Path) -> Any:
    import diffusers
    from transformers import Qwen3Config, Qwen3Model

    transformer = diffusers.OvisImageTransformer2DModel(
        in_channels=64,
        out_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDE,
        axes_dims_rope=(4, 6, 6),
    )
    return diffusers.OvisImagePipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=make_autoencoder(),
        text_encoder=Qwen3Model(Qwen3Config(**SMALL, head_dim=8)),
        tokenizer=qwen_tokenizer(folder),
        transformer=transformer,
    )


def make_z_image_omni(folder: Path) -> Any:
    import diffusers
    from transformers import (
        Qwen3Config,
        Qwen3Model,
        Siglip2ImageProcessor,
        Siglip2VisionConfig,
        Siglip2VisionModel,
    )

    transformer = diffusers.ZImageTransformer2DModel(
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDE,
        siglip_feat_dim=WIDE,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    )
    look = Siglip2VisionConfig(
        hidden_size=WIDE, intermediate_size=WIDE, num_hidden_layers=1, num_attention_heads=2
    )
    return diffusers.ZImageOmniPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=make_autoencoder(),
        text_encoder=Qwen3Model(Qwen3Config(**SMALL, head_dim=8)),
        tokenizer=qwen_tokenizer(folder),
        transformer=transformer,
        siglip=Siglip2VisionModel(look),
        siglip_processor=Siglip2ImageProcessor(),
    )


def with_pag(pipe: Any, kind: str, **more: Any) -> Any:
    """The same parts in the pipeline for perturbed attention."""
    import diffusers

    return getattr(diffusers, kind)(**pipe.components, **more)


NEWEST: dict[str, Callable[[Path], Any]] = {
    "cogview-4": lambda folder: make_cogview_4(),
    "lumina": make_lumina,
    "ovis": make_ovis,
    "z-image-omni": make_z_image_omni,
    "hunyuan-dit-pag": lambda folder: with_pag(
        make_hunyuan_dit(folder), "HunyuanDiTPAGPipeline", requires_safety_checker=False
    ),
    "sana-pag": lambda folder: with_pag(make_sana(folder), "SanaPAGPipeline"),
    "pixart-pag": lambda folder: with_pag(make_pixart(layers=2), "PixArtSigmaPAGPipeline"),
}
"""By name; given a folder for files they are made from."""
