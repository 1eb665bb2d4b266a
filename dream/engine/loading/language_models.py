"""What the language models that read prompts share: the configuration of a decoder, from shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import init_empty_weights
from transformers.initialization import no_init_weights

from dream.engine.loading.config_from_shapes import count_blocks


def infer_decoder_config(tensors: Mapping[str, torch.Tensor], head: int) -> dict[str, Any]:
    """The configuration that decoders share; `head` is the width of a head of attention."""
    words, width = tensors["model.embed_tokens.weight"].shape
    layer = "model.layers.{}.self_attn.q_proj.weight"
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": tensors["model.layers.0.mlp.gate_proj.weight"].shape[0],
        "num_hidden_layers": count_blocks(tensors, layer),
        "num_attention_heads": tensors[layer.format(0)].shape[0] // head,
        "num_key_value_heads": tensors["model.layers.0.self_attn.k_proj.weight"].shape[0] // head,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }


def build_empty(kind: Any, config: Any) -> Any:
    """A model of a class of transformers, without memory for its weights."""
    with init_empty_weights(), no_init_weights():
        return kind(config)
