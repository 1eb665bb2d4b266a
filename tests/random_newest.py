"""Small models of the newest families and of perturbed attention (PAG), with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.random_families import (
    COGVIEW_SIZES,
    FLUX_SIZES,
    LUMINA_SIZES,
    SMALL,
    WIDE,
    Z_IMAGE_SIZES,
    make_pixart,
    qwen_tokenizer,
    t5_tokenizer,
)
from tests.random_layouts import make_autoencoder
from tests.random_others import gemma, make_hunyuan_dit, make_sana


def make_cogview_4() -> Any:
    import diffusers
    from transformers import GlmConfig, GlmModel

    transformer = diffusers.CogView4Transformer2DModel(
        **COGVIEW_SIZES,
        num_attention_heads=4,
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
        **LUMINA_SIZES,
        num_layers=2,
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


def make_qwen3_parts(folder: Path) -> dict[str, Any]:
    """The VAE, the language model and its tokenizer."""
    from transformers import Qwen3Config, Qwen3Model

    return {
        "vae": make_autoencoder(),
        "text_encoder": Qwen3Model(Qwen3Config(**SMALL, head_dim=8)),
        "tokenizer": qwen_tokenizer(folder),
    }


def make_ovis(folder: Path) -> Any:
    import diffusers

    transformer = diffusers.OvisImageTransformer2DModel(
        **FLUX_SIZES,
        out_channels=64,
    )
    return diffusers.OvisImagePipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        **make_qwen3_parts(folder),
        transformer=transformer,
    )


def make_z_image_omni(folder: Path) -> Any:
    import diffusers
    from transformers import Siglip2ImageProcessor, Siglip2VisionConfig, Siglip2VisionModel

    transformer = diffusers.ZImageTransformer2DModel(
        **Z_IMAGE_SIZES,
        siglip_feat_dim=WIDE,
    )
    look = Siglip2VisionConfig(
        hidden_size=WIDE, intermediate_size=WIDE, num_hidden_layers=1, num_attention_heads=2
    )
    return diffusers.ZImageOmniPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        **make_qwen3_parts(folder),
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
"""By name; each takes a folder for the files it is built from."""
