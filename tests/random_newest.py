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


def make_krea_2(folder: Path) -> Any:
    """Krea 2: it reads several layers of Qwen3-VL, and packs latents with a method of its own."""
    import diffusers
    from transformers import Qwen3VLConfig, Qwen3VLModel

    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 1, 1]}
    eyes = {"depth": 1, "hidden_size": WIDE, "intermediate_size": WIDE, "num_heads": 2}
    reader = Qwen3VLConfig(
        text_config=SMALL | {"head_dim": 8, "rope_parameters": rope},
        vision_config=eyes | {"out_hidden_size": WIDE, "deepstack_visual_indexes": [0]},
    )
    transformer = diffusers.Krea2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        timestep_embed_dim=32,
        text_hidden_dim=WIDE,
        num_text_layers=2,
        text_num_attention_heads=2,
        text_num_key_value_heads=2,
        text_intermediate_size=32,
        num_layerwise_text_blocks=1,
        num_refiner_text_blocks=1,
        axes_dims_rope=(4, 6, 6),
    )
    return diffusers.Krea2Pipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=diffusers.AutoencoderKLQwenImage(
            base_dim=24, z_dim=4, num_res_blocks=1, latents_mean=[0.0] * 4, latents_std=[1.0] * 4
        ),
        text_encoder=Qwen3VLModel(reader),
        tokenizer=qwen_tokenizer(folder),
        transformer=transformer,
        text_encoder_select_layers=(1, 2),
        is_distilled=True,
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
    "krea-2": make_krea_2,
    "hunyuan-dit-pag": lambda folder: with_pag(
        make_hunyuan_dit(folder), "HunyuanDiTPAGPipeline", requires_safety_checker=False
    ),
    "sana-pag": lambda folder: with_pag(make_sana(folder), "SanaPAGPipeline"),
    "pixart-pag": lambda folder: with_pag(make_pixart(layers=2), "PixArtSigmaPAGPipeline"),
}
"""By name; each takes a folder for the files it is built from."""
