"""The tables of the parts that models of several files are made of: text encoders and VAEs."""

from __future__ import annotations

from dream.options.family import Marks, Side, TextEncoderKind

TEXT_ENCODERS = (
    TextEncoderKind(
        key="umt5",
        name="UMT5",
        marks=(("^encoder.block.1.layer.0.SelfAttention.relative_attention_bias.",),),
        widths=(
            Side("encoder.block.0.layer.0.SelfAttention.q.weight", 1),
            Side("shared.weight", 1),
        ),
        tokenizer="fal/AuraFlow-v0.3",
        tokenizer_bytes=2_300_000,
    ),
    TextEncoderKind(
        key="t5",
        name="T5",
        marks=(("^encoder.block.0.layer.0.SelfAtt",),),
        widths=(
            Side("encoder.block.0.layer.0.SelfAttention.q.weight", 1),
            Side("shared.weight", 1),
        ),
        tokenizer="google-t5/t5-small",
        tokenizer_bytes=1_400_000,
    ),
    TextEncoderKind(
        key="clip",
        name="CLIP",
        marks=(("^text_model.",), ("^token_embedding.", "^transformer.resblocks.")),
        widths=(
            Side("text_model.embeddings.token_embedding.weight", 1),
            Side("token_embedding.weight", 1),
        ),
    ),
    TextEncoderKind(
        key="gemma2",
        name="Gemma 2",
        marks=(("^model.embed_tokens.", ".pre_feedforward_layernorm."),),
        words=256_000,
        widths=(Side("model.embed_tokens.weight", 1),),
        tokenizer="unsloth/gemma-2-2b",
        tokenizer_bytes=34_000_000,
    ),
    TextEncoderKind(
        key="qwen3-vl",
        name="Qwen3-VL",
        marks=(
            ("^model.embed_tokens.", "visual.deepstack_merger_list."),
            ("^model.language_model.embed_tokens.", "visual.deepstack_merger_list."),
        ),
        widths=(
            Side("model.embed_tokens.weight", 1),
            Side("model.language_model.embed_tokens.weight", 1),
        ),
        architecture="qwen3vl",
        tokenizer="Qwen/Qwen3-VL-4B-Instruct",
        tokenizer_of="qwen3",
        tokenizer_bytes=16_000_000,
    ),
    TextEncoderKind(
        key="qwen2.5-vl",
        name="Qwen2.5-VL",
        marks=(
            ("^model.embed_tokens.", "self_attn.q_proj.bias"),
            ("^model.embed_tokens.", "^visual."),
        ),
        words=152_064,
        widths=(Side("model.embed_tokens.weight", 1),),
        tokenizer="Qwen/Qwen2.5-VL-7B-Instruct",
        tokenizer_bytes=12_000_000,
    ),
    TextEncoderKind(
        key="qwen3",
        name="Qwen3",
        marks=(("^model.embed_tokens.", "self_attn.q_norm."),),
        words=151_936,
        widths=(Side("model.embed_tokens.weight", 1),),
        tokenizer="Qwen/Qwen3-4B",
        tokenizer_bytes=16_000_000,
    ),
    TextEncoderKind(
        key="mistral3",
        name="Mistral Small 3",
        marks=(("^model.embed_tokens.", "^tekken_model$"),),
        words=131_072,
        widths=(Side("model.embed_tokens.weight", 1),),
        tokenizer="unsloth/Mistral-Small-3.2-24B-Instruct-2506",
        tokenizer_tensor="tekken_model",
        tokenizer_bytes=17_000_000,
    ),
    TextEncoderKind(
        key="llama3",
        name="Llama 3.1",
        marks=(),
        words=128_256,
        widths=(Side("model.embed_tokens.weight", 1),),
        tokenizer="unsloth/Meta-Llama-3.1-8B-Instruct",
        tokenizer_bytes=17_000_000,
    ),
    TextEncoderKind(
        key="language",
        name="a language model",
        marks=(("^model.embed_tokens.",),),
        widths=(Side("model.embed_tokens.weight", 1),),
    ),
)
"""The first matching row is used."""

VAES: tuple[tuple[str, str, Marks], ...] = (
    ("qwen", "a VAE of Qwen-Image or Wan", (("^decoder.conv1.", "^encoder.conv1."),)),
    ("flux2", "a VAE of FLUX.2", (("^bn.running_mean$", "decoder.conv_in."),)),
    ("dc", "a VAE of Sana", (("^decoder.stages.0.",), ("^decoder.up_blocks.0.0.",))),
    ("kl", "a VAE", (("^decoder.conv_in.",), ("^encoder.conv_in.",))),
)
"""Kinds of VAEs: key, name with its article, marks. Those of one kind differ in their latents'
channels; the first matching row is used."""
