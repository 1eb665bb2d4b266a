"""Small random models of further families that people have in several files: see `random_split`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.random_families import WIDE, qwen_tokenizer, t5_tokenizer
from tests.random_split import LANGUAGE, autoencoder, scheduler, t5
from tests.random_split_latest import LATEST


def qwen3_vl(layers: int = 36) -> Any:
    """Qwen3-VL with its vision. Krea 2 reads twelve of its 36 layers."""
    from transformers import Qwen3VLConfig, Qwen3VLModel

    rope = {
        "rope_type": "default",
        "rope_theta": 5e6,
        "mrope_section": [2, 1, 1],
        "mrope_interleaved": True,
    }
    text = LANGUAGE | {
        "head_dim": 8,
        "num_hidden_layers": layers,
        "rope_parameters": rope,
        "max_position_embeddings": 262_144,
    }
    eyes = {"depth": 1, "hidden_size": WIDE, "intermediate_size": WIDE, "num_heads": 2}
    eyes |= {"out_hidden_size": WIDE, "deepstack_visual_indexes": [0]}
    return Qwen3VLModel(Qwen3VLConfig(text_config=text, vision_config=eyes))


def make_krea2(folder: Path) -> Any:
    from diffusers import AutoencoderKLQwenImage, Krea2Pipeline, Krea2Transformer2DModel

    return Krea2Pipeline(
        scheduler=scheduler("krea2"),
        vae=AutoencoderKLQwenImage(base_dim=8),
        text_encoder=qwen3_vl(),
        tokenizer=qwen_tokenizer(folder),
        transformer=Krea2Transformer2DModel(
            in_channels=64,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=32,
            timestep_embed_dim=32,
            text_hidden_dim=WIDE,
            num_text_layers=12,
            text_num_attention_heads=2,
            text_num_key_value_heads=2,
            text_intermediate_size=24,
            num_layerwise_text_blocks=1,
            num_refiner_text_blocks=2,
            axes_dims_rope=(4, 6, 6),
        ),
    )


def make_auraflow(folder: Path) -> Any:
    from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel
    from transformers import UMT5Config, UMT5EncoderModel

    reader = UMT5Config(vocab_size=128, d_model=WIDE, d_kv=8, d_ff=24, num_layers=2, num_heads=2)
    return AuraFlowPipeline(
        tokenizer=llama_tokenizer(folder),
        text_encoder=UMT5EncoderModel(reader),
        vae=autoencoder("sdxl"),
        transformer=AuraFlowTransformer2DModel(
            num_mmdit_layers=1,
            num_single_dit_layers=2,
            attention_head_dim=256,
            num_attention_heads=1,
            joint_attention_dim=WIDE,
            caption_projection_dim=256,
            pos_embed_max_size=64,
        ),
        scheduler=scheduler("auraflow"),
    )


def llama_tokenizer(folder: Path) -> Any:
    """Letter by letter."""
    from transformers import LlamaTokenizer

    marks = ["<unk>", "<s>", "</s>", "▁"]
    words = {word: n for n, word in enumerate([*marks, *map(chr, range(33, 127))])}
    return LlamaTokenizer(vocab=words, merges=[], pad_token="</s>")


def make_pixart(folder: Path) -> Any:
    """PixArt-Σ."""
    from diffusers import DPMSolverMultistepScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

    return PixArtSigmaPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=t5(),
        vae=autoencoder("sdxl"),
        transformer=PixArtTransformer2DModel(
            num_attention_heads=16,
            attention_head_dim=2,
            out_channels=8,
            num_layers=2,
            cross_attention_dim=32,
            caption_channels=WIDE,
            sample_size=64,
            use_additional_conditions=False,
        ),
        scheduler=DPMSolverMultistepScheduler(),
    )


NEWER: dict[str, Callable[[Path], Any]] = {
    "krea2": make_krea2,
    "auraflow": make_auraflow,
    "pixart": make_pixart,
    **LATEST,
}
"""By the key of their family; given a folder for files they are made from."""
