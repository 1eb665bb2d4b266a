"""Small random models of the families that people have in several files, built as the published
ones: what shapes do not say (rope, scaling, shift) is theirs. What is small is width and depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dream.options.family_table import get_family
from tests.random_families import WIDE, qwen_tokenizer, t5_tokenizer

ROPE = {"rope_type": "default", "rope_theta": 1e6}
LANGUAGE: Mapping[str, Any] = {
    "hidden_size": WIDE,
    "intermediate_size": WIDE,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 300,
    "rms_norm_eps": 1e-6,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def scheduler(family: str, **settings: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**get_family(family).scheduler, **settings)


def autoencoder(space: str = "flux") -> Any:
    from diffusers import AutoencoderKL

    if space in ("sd1", "sdxl"):
        quant = {"use_quant_conv": True, "use_post_quant_conv": True}
        scaling = {"sd1": 0.18215, "sdxl": 0.13025}[space]
        return AutoencoderKL(**{**_VAE, **quant}, latent_channels=4, scaling_factor=scaling)
    scaling, shift = {"flux": (0.3611, 0.1159), "sd3": (1.5305, 0.0609)}[space]
    return AutoencoderKL(**_VAE, latent_channels=16, scaling_factor=scaling, shift_factor=shift)


_VAE: dict[str, Any] = {
    "block_out_channels": (32, 32, 32, 32),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


def qwen3(layers: int = 3) -> Any:
    from transformers import Qwen3Config, Qwen3Model

    config = LANGUAGE | {"num_hidden_layers": layers}
    return Qwen3Model(
        Qwen3Config(**config, head_dim=8, rope_parameters=ROPE, max_position_embeddings=40_960)
    )


def make_z_image(folder: Path) -> Any:
    from diffusers import ZImagePipeline, ZImageTransformer2DModel

    return ZImagePipeline(
        scheduler=scheduler("z-image"),
        vae=autoencoder(),
        text_encoder=qwen3(),
        tokenizer=qwen_tokenizer(folder),
        transformer=ZImageTransformer2DModel(
            dim=32,
            n_layers=2,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=WIDE,
            axes_dims=[4, 6, 6],
            axes_lens=[1536, 512, 512],
        ),
    )


def make_flux2(folder: Path) -> Any:
    """FLUX.2 klein: it reads layers 9, 18 and 27 of Qwen3."""
    from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline, Flux2Transformer2DModel

    return Flux2KleinPipeline(
        scheduler=scheduler("flux2"),
        vae=AutoencoderKLFlux2(
            **{**_VAE, "use_quant_conv": True, "use_post_quant_conv": True}, latent_channels=8
        ),
        text_encoder=qwen3(28),
        tokenizer=qwen_tokenizer(folder),
        transformer=Flux2Transformer2DModel(
            in_channels=32,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * WIDE,
            timestep_guidance_channels=32,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        is_distilled=True,
    )


def clip(
    width: int = WIDE, *, projected: bool = False, gelu: bool = False, length: int = 77
) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=49408,
        max_position_embeddings=length,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=1,
        projection_dim=width,
        hidden_act="gelu" if gelu else "quick_gelu",
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=128,
            d_model=WIDE,
            d_kv=8,
            d_ff=24,
            num_layers=2,
            num_heads=2,
            feed_forward_proj="gated-gelu",
        )
    )


def make_flux(folder: Path, *, fill: bool = False) -> Any:
    """FLUX.1 dev, or FLUX.1 Fill, whose denoiser sees a masked image and its mask as well."""
    from diffusers import FluxFillPipeline, FluxPipeline, FluxTransformer2DModel

    from dream.engine.loading.clip_tokenizer import build_clip_tokenizer

    return (FluxFillPipeline if fill else FluxPipeline)(
        scheduler=scheduler("flux"),
        vae=autoencoder(),
        text_encoder=clip(),
        tokenizer=build_clip_tokenizer(),
        text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(),
        transformer=FluxTransformer2DModel(
            in_channels=384 if fill else 64,
            out_channels=64,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=32,
            num_attention_heads=2,
            joint_attention_dim=WIDE,
            pooled_projection_dim=WIDE,
            axes_dims_rope=(4, 14, 14),
            guidance_embeds=True,
        ),
    )


def make_chroma(folder: Path) -> Any:
    from diffusers import ChromaPipeline, ChromaTransformer2DModel

    return ChromaPipeline(
        scheduler=scheduler("chroma"),
        vae=autoencoder(),
        text_encoder=t5(),
        tokenizer=t5_tokenizer(),
        transformer=ChromaTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=32,
            num_attention_heads=2,
            joint_attention_dim=WIDE,
            axes_dims_rope=(4, 14, 14),
            approximator_num_channels=8,
            approximator_hidden_dim=32,
            approximator_layers=2,
        ),
    )


def make_sd3(folder: Path) -> Any:
    """Stable Diffusion 3.5: norms of queries and keys, two attentions in its first block."""
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline

    from dream.engine.loading.clip_tokenizer import build_clip_tokenizer

    return StableDiffusion3Pipeline(
        scheduler=scheduler("sd3"),
        vae=autoencoder("sd3"),
        text_encoder=clip(24, projected=True),
        tokenizer=build_clip_tokenizer(),
        text_encoder_2=clip(40, projected=True, gelu=True),
        tokenizer_2=build_clip_tokenizer("!"),
        text_encoder_3=t5_of(64),
        tokenizer_3=t5_tokenizer(),
        transformer=SD3Transformer2DModel(
            sample_size=128,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=64,
            caption_projection_dim=32,
            pooled_projection_dim=64,
            pos_embed_max_size=16,
            dual_attention_layers=(0,),
            qk_norm="rms_norm",
        ),
    )


def t5_of(width: int) -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=128,
            d_model=width,
            d_kv=8,
            d_ff=24,
            num_layers=1,
            num_heads=2,
            feed_forward_proj="gated-gelu",
        )
    )


def gemma2() -> Any:
    from transformers import Gemma2Config, Gemma2Model

    config = Gemma2Config(
        **LANGUAGE,
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=4096,
        max_position_embeddings=8192,
    )
    return Gemma2Model(config)


def make_lumina2(folder: Path) -> Any:
    from diffusers import Lumina2Pipeline, Lumina2Transformer2DModel

    return Lumina2Pipeline(
        scheduler=scheduler("lumina2"),
        vae=autoencoder(),
        text_encoder=gemma2(),
        tokenizer=qwen_tokenizer(folder),
        transformer=Lumina2Transformer2DModel(
            sample_size=16,
            hidden_size=48,
            num_layers=1,
            num_refiner_layers=1,
            num_attention_heads=2,
            num_kv_heads=1,
            axes_dim_rope=(8, 8, 8),
            cap_feat_dim=WIDE,
        ),
    )


def make_qwen_image(folder: Path) -> Any:
    """Qwen-Image, with the text encoder's eyes."""
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = LANGUAGE | {
        "max_position_embeddings": 128_000,
        "rope_parameters": ROPE | {"mrope_section": [2, 1, 1]},
    }
    eyes = {"depth": 1, "hidden_size": WIDE, "intermediate_size": WIDE, "num_heads": 1}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=eyes | {"out_hidden_size": WIDE})
    return QwenImagePipeline(
        scheduler=scheduler("qwen-image"),
        vae=AutoencoderKLQwenImage(base_dim=8),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=qwen_tokenizer(folder),
        transformer=QwenImageTransformer2DModel(
            in_channels=64,
            out_channels=16,
            num_layers=2,
            attention_head_dim=32,
            num_attention_heads=2,
            joint_attention_dim=WIDE,
            axes_dims_rope=(4, 14, 14),
        ),
    )


def make_qwen_edit(folder: Path, *, plus: bool = True) -> Any:
    """Qwen-Image-Edit-2511, or the first Qwen-Image-Edit."""
    import diffusers
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    parts = make_qwen_image(folder).components
    tokenizer = qwen_tokenizer(folder, sees=True)
    looking = Qwen2VLImageProcessor(size={"shortest_edge": 3136, "longest_edge": 12845056})
    processor = Qwen2VLProcessor(looking, tokenizer, Qwen2VLVideoProcessor())
    parts["text_encoder"].config.image_token_id = processor.image_token_id
    if plus:
        config = {k: v for k, v in parts["transformer"].config.items() if not k.startswith("_")}
        config["zero_cond_t"] = True
        parts["transformer"] = diffusers.QwenImageTransformer2DModel(**config)
    kind = diffusers.QwenImageEditPlusPipeline if plus else diffusers.QwenImageEditPipeline
    return kind(**{**parts, "tokenizer": tokenizer, "processor": processor})


SPLIT: dict[str, Callable[[Path], Any]] = {
    "z-image": make_z_image,
    "flux2": make_flux2,
    "flux": make_flux,
    "qwen-image": make_qwen_image,
    "sd3": make_sd3,
    "chroma": make_chroma,
    "lumina2": make_lumina2,
}
"""By the key of their family; given a folder for files they are made from."""
