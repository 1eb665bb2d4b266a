"""Small models of the families that came after Stable Diffusion's, with random weights: a
transformer that denoises, and a language model that reads the words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.random_layouts import make_autoencoder, make_clip

WIDE = 16
"""Of a language model."""

FLUX_SIZES: dict[str, Any] = {
    "in_channels": 64,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDE,
    "axes_dims_rope": (4, 6, 6),
}
"""Of the transformers of Flux and of those derived from it."""

Z_IMAGE_SIZES: dict[str, Any] = {
    "dim": 32,
    "n_layers": 1,
    "n_refiner_layers": 1,
    "n_heads": 2,
    "n_kv_heads": 2,
    "cap_feat_dim": WIDE,
    "axes_dims": [8, 4, 4],
    "axes_lens": [1024, 32, 32],
}

LUMINA_SIZES: dict[str, Any] = {
    "sample_size": 16,
    "patch_size": 2,
    "in_channels": 4,
    "hidden_size": 24,
    "num_attention_heads": 3,
    "num_kv_heads": 1,
}

COGVIEW_SIZES: dict[str, Any] = {
    "patch_size": 2,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 1,
    "attention_head_dim": 4,
    "text_embed_dim": WIDE,
    "time_embed_dim": 8,
}


def make_flux() -> Any:
    """Flux: takes a guidance scale, which ignores negative prompts."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    from dream.engine.loading.clip_tokenizer import build_clip_tokenizer

    clip = make_clip()
    transformer = FluxTransformer2DModel(
        **FLUX_SIZES,
        pooled_projection_dim=clip.config.hidden_size,
        guidance_embeds=True,
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=make_autoencoder(),
        text_encoder=clip,
        tokenizer=build_clip_tokenizer(),
        text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(),
        transformer=transformer,
    )


def make_pixart(layers: int = 1) -> Any:
    """PixArt-Σ: a former callback, and a negative prompt that is never None."""
    from diffusers import DPMSolverMultistepScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

    transformer = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        out_channels=8,
        num_layers=layers,
        cross_attention_dim=32,
        sample_size=32,
        caption_channels=WIDE,
        norm_num_groups=8,
    )
    return PixArtSigmaPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=t5(),
        vae=make_autoencoder(4),
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(),
    )


def make_z_image(folder: Path) -> Any:
    """Z-Image; its tokenizer is written into a folder first."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    transformer = ZImageTransformer2DModel(
        **Z_IMAGE_SIZES,
    )
    reader = Qwen3Model(Qwen3Config(**SMALL, head_dim=8))
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=make_autoencoder(),
        text_encoder=reader,
        tokenizer=qwen_tokenizer(folder),
        transformer=transformer,
    )


def make_qwen_image(folder: Path) -> Any:
    """Qwen-Image: guidance by the name of true_cfg_scale, and a VAE for films."""
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImagePipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"}
    eyes = {"depth": 1, "hidden_size": WIDE, "intermediate_size": WIDE, "num_heads": 2}
    config = Qwen2_5_VLConfig(
        text_config=SMALL | {"rope_scaling": rope, "rope_theta": 1e6},
        vision_config=eyes | {"out_hidden_size": WIDE},
    )
    transformer = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDE,
        axes_dims_rope=(8, 4, 4),
    )
    vae = AutoencoderKLQwenImage(
        base_dim=24, z_dim=4, num_res_blocks=1, latents_mean=[0.0] * 4, latents_std=[1.0] * 4
    )
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=qwen_tokenizer(folder),
        transformer=transformer,
    )


FAMILIES: dict[str, Callable[[Path], Any]] = {
    "flux": lambda folder: make_flux(),
    "pixart": lambda folder: make_pixart(),
    "z-image": make_z_image,
    "qwen-image": make_qwen_image,
}
"""By name; given a folder for files they are made from."""

SMALL: dict[str, Any] = {
    "hidden_size": WIDE,
    "intermediate_size": WIDE,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 300,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(vocab_size=128, d_model=WIDE, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    )


def t5_tokenizer() -> Any:
    """Letter by letter."""
    from transformers import T5TokenizerFast

    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0)]
    letters = [(chr(code), -2.0) for code in range(33, 127)]
    return T5TokenizerFast(vocab=[*marks, *letters], extra_ids=0, model_max_length=512)


def qwen_tokenizer(folder: Path, *, sees: bool = False) -> Any:
    """Byte by byte; one that `sees` has the words that images stand for."""
    import json

    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words = [*sorted(ByteLevel.alphabet()), *marks]
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({word: n for n, word in enumerate(words)}))
    merges.write_text("#version: 0.2\n")
    tokenizer = Qwen2Tokenizer(
        vocab=str(vocabulary), merges=str(merges), unk_token=marks[0], pad_token=marks[0]
    )
    tokenizer.chat_template = "{% for said in messages %}{{ said['content'] }}{% endfor %}"
    if sees:
        eyes = ["<|vision_start|>", "<|image_pad|>", "<|video_pad|>", "<|vision_end|>"]
        tokenizer.add_special_tokens({"additional_special_tokens": eyes})
    return tokenizer


def write_models(
    folder: Path, makers: Mapping[str, Callable[[Path], Any]], make_scratch: Callable[[str], Path]
) -> None:
    """Write these models into folders of their names, with the same weights each time."""
    import torch

    from dream.engine.silence_libraries import silence_libraries

    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        for name, make in makers.items():
            make(make_scratch(name)).save_pretrained(folder / name)
