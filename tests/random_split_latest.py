"""Small random models of families with several text encoders, or with one of their own: see
`random_split`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.random_families import WIDE, qwen_tokenizer, t5_tokenizer
from tests.random_split import (
    LANGUAGE,
    autoencoder,
    clip,
    gemma2,
    make_flux2,
    scheduler,
    t5,
    t5_of,
)
from tests.tekken import make_tekken


def mistral3() -> Any:
    """Mistral Small 3 with its vision. FLUX.2 dev reads 30 of its 40 layers."""
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration

    text = LANGUAGE | {
        "model_type": "mistral",
        "vocab_size": 131_072,
        "num_hidden_layers": 40,
        "head_dim": 8,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e9},
        "sliding_window": None,
        "max_position_embeddings": 131_072,
    }
    eyes = {"model_type": "pixtral", "hidden_size": WIDE, "intermediate_size": WIDE}
    eyes |= {"num_hidden_layers": 1, "num_attention_heads": 1, "patch_size": 14, "head_dim": WIDE}
    config = Mistral3Config(text_config=text, vision_config=eyes)
    return Mistral3ForConditionalGeneration(config)


def make_flux2_dev(folder: Path) -> Any:
    from diffusers import AutoencoderKLFlux2, Flux2Pipeline, Flux2Transformer2DModel
    from transformers import PixtralImageProcessor, PixtralProcessor

    from dream.engine.loading.mistral_tokenizer import CHAT_TEMPLATE, build_mistral_tokenizer

    vae = make_flux2(folder).vae
    assert isinstance(vae, AutoencoderKLFlux2)
    return Flux2Pipeline(
        scheduler=scheduler("flux2-dev"),
        vae=vae,
        text_encoder=mistral3(),
        tokenizer=PixtralProcessor(
            image_processor=PixtralImageProcessor(),
            tokenizer=build_mistral_tokenizer(make_tekken()),
            chat_template=CHAT_TEMPLATE,
        ),
        transformer=Flux2Transformer2DModel(
            in_channels=32,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * WIDE,
            timestep_guidance_channels=32,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=True,
        ),
    )


def make_hidream(folder: Path) -> Any:
    """HiDream-I1: the CLIPs take more tokens than usual, and Llama has a layer for each block."""
    from diffusers import HiDreamImagePipeline, HiDreamImageTransformer2DModel

    from dream.engine.loading.clip_tokenizer import build_clip_tokenizer

    return HiDreamImagePipeline(
        scheduler=scheduler("hidream"),
        vae=autoencoder(),
        text_encoder=clip(24, projected=True, length=248),
        tokenizer=build_clip_tokenizer(),
        text_encoder_2=clip(40, projected=True, gelu=True, length=218),
        tokenizer_2=build_clip_tokenizer("!"),
        text_encoder_3=t5_of(4096),
        tokenizer_3=t5_tokenizer(),
        text_encoder_4=llama3(),
        tokenizer_4=llama3_tokenizer(),
        transformer=HiDreamImageTransformer2DModel(
            patch_size=2,
            in_channels=16,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=128,
            num_attention_heads=1,
            caption_channels=[4096, WIDE],
            text_emb_dim=64,
            axes_dims_rope=(64, 32, 32),
            max_resolution=(128, 128),
            llama_layers=[0, 1, 2],
        ),
    )


def llama3() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    rope = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0}
    rope |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    config = LANGUAGE | {"vocab_size": 128_256, "rms_norm_eps": 1e-5, "head_dim": 8}
    config |= {"rope_parameters": rope | {"original_max_position_embeddings": 8192}}
    return LlamaForCausalLM(LlamaConfig(**config, max_position_embeddings=131_072))


def llama3_tokenizer() -> Any:
    """Byte by byte."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "<|begin_of_text|>", "<|eot_id|>"]
    bytes_only = Tokenizer(models.BPE({word: n for n, word in enumerate(words)}, []))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    marks = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
    return PreTrainedTokenizerFast(tokenizer_object=bytes_only, **marks)


def make_pixart_alpha(folder: Path) -> Any:
    """PixArt-α for 1024 pixels, which is told the size of an image."""
    from diffusers import DPMSolverMultistepScheduler, PixArtAlphaPipeline, PixArtTransformer2DModel

    return PixArtAlphaPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=t5(),
        vae=autoencoder("sd1"),
        transformer=PixArtTransformer2DModel(
            num_attention_heads=16,
            attention_head_dim=3,
            out_channels=8,
            num_layers=2,
            cross_attention_dim=48,
            caption_channels=WIDE,
            sample_size=128,
        ),
        scheduler=DPMSolverMultistepScheduler(),
    )


def make_sana(folder: Path) -> Any:
    """With the norms of Sana 1.5."""
    from diffusers import (
        AutoencoderDC,
        DPMSolverMultistepScheduler,
        SanaPipeline,
        SanaTransformer2DModel,
    )

    sides: dict[str, Any] = {}
    for side, layers in (("encoder", (1, 1, 2)), ("decoder", (2, 2, 1))):
        sides |= {
            f"{side}_block_types": ("ResBlock", "ResBlock", "EfficientViTBlock"),
            f"{side}_block_out_channels": (8, 16, 32),
            f"{side}_layers_per_block": layers,
            f"{side}_qkv_multiscales": ((), (), (5,)),
        }
    return SanaPipeline(
        transformer=SanaTransformer2DModel(
            in_channels=8,
            out_channels=8,
            num_layers=2,
            num_attention_heads=7,
            attention_head_dim=32,
            num_cross_attention_heads=2,
            cross_attention_head_dim=112,
            cross_attention_dim=224,
            caption_channels=WIDE,
            qk_norm="rms_norm_across_heads",
        ),
        vae=AutoencoderDC(
            latent_channels=8,
            downsample_block_type="conv",
            upsample_block_type="interpolate",
            scaling_factor=0.41407,
            **sides,
        ),
        scheduler=DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        text_encoder=gemma2(),
        tokenizer=qwen_tokenizer(folder),
    )


LATEST: dict[str, Callable[[Path], Any]] = {
    "flux2-dev": make_flux2_dev,
    "hidream": make_hidream,
    "pixart-alpha": make_pixart_alpha,
    "sana": make_sana,
}
"""By the key of their family; given a folder for files they are made from."""
