"""A small Kolors with random weights, whose vocabulary is trained here."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from tests.random_families import WIDE
from tests.random_layouts import make_autoencoder


def make_vocabulary(path: Path) -> None:
    """Write a vocabulary of sentencepiece of a few dozen pieces."""
    import sentencepiece

    model = io.BytesIO()
    texts = ["a red circle on a hill", "the quick brown fox jumps over lazy dogs"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 20),
        model_writer=model,
        vocab_size=40,
        model_type="bpe",
        minloglevel=2,
        num_threads=1,
    )
    path.write_bytes(model.getvalue())


def make_kolors(folder: Path) -> Any:
    """Kolors, with the setting of the published folder that its pipeline fails with where there
    are no negative words."""
    import diffusers
    import torch
    from diffusers.pipelines.kolors import ChatGLMModel, ChatGLMTokenizer

    config = ChatGLMModel.config_class(
        num_layers=2,
        padded_vocab_size=64,
        hidden_size=WIDE,
        ffn_hidden_size=24,
        kv_channels=8,
        num_attention_heads=2,
        multi_query_attention=True,
        multi_query_group_num=1,
        seq_length=512,
        add_qkv_bias=True,
        original_rope=True,
        use_cache=True,
    )
    encoder = ChatGLMModel(config)
    for weight in encoder.parameters():  # they are not initialised
        torch.nn.init.normal_(weight, std=0.3)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        layers_per_block=1,
        cross_attention_dim=32,
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDE,
        encoder_hid_dim=WIDE,
        encoder_hid_dim_type="text_proj",
        norm_num_groups=8,
    )
    make_vocabulary(folder / "tokenizer.model")
    return diffusers.KolorsPipeline(
        vae=make_autoencoder(4),
        text_encoder=encoder.eval(),
        tokenizer=ChatGLMTokenizer(str(folder / "tokenizer.model")),
        unet=unet,
        scheduler=diffusers.EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.014,
            beta_schedule="scaled_linear",
            num_train_timesteps=1100,
            steps_offset=1,
            timestep_spacing="leading",
        ),
        force_zeros_for_empty_prompt=True,
    )
