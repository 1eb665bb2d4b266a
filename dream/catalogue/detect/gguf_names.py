"""Names of weights in GGUF files of text encoders: llama.cpp's names → transformers'.

llama.cpp: gguf-py/gguf/tensor_mapping.py and constants.py; tests compare both tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_LAYER = re.compile(r"(enc\.)?blk\.(\d{1,4})\.(\w{1,40})\.(weight|bias)", re.ASCII)
_FIRST = ("token_embd.weight",)
"""A tensor of every language model, and of no image model."""

_DECODER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Of a layer, `model.layers.N.`, in Llama, Mistral and Qwen."""
_GEMMA = {
    **_DECODER,
    "ffn_norm": "pre_feedforward_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_T5 = {
    "attn_norm": "layer.0.layer_norm",
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "ffn_norm": "layer.1.layer_norm",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
}
_LAYERS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "t5": ("encoder.block", _T5),
    "t5encoder": ("encoder.block", _T5),
    "gemma2": ("model.layers", _GEMMA),
    "gemma3": ("model.layers", _GEMMA),
    **{
        name: ("model.layers", _DECODER)
        for name in ("llama", "mistral3", "qwen2", "qwen2vl", "qwen3", "qwen3vl")
    },
}
"""By `general.architecture`: the prefix of a layer, and the names in it."""
_ENDS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_T5_ENDS = {
    "token_embd.weight": "shared.weight",
    "enc.output_norm.weight": "encoder.final_layer_norm.weight",
}
_COMPUTED = ("rope_freqs.weight",)
"""Weights that transformers computes itself."""

PERMUTED = ("llama", "mistral3")
"""Architectures whose rows of `attn_q` and `attn_k` llama.cpp reorders, head by head."""
SHIFTED = ("gemma2", "gemma3")
"""Architectures to whose norms llama.cpp adds 1."""


def rename(names: Iterable[str], architecture: str) -> dict[str, str]:
    """New names by the names in the file; names without an entry in the table stay. Weights that
    are computed are left out."""
    whole = list(names)
    known = _LAYERS.get(architecture)
    if known is None or not any(name in _FIRST for name in whole):
        return {name: name for name in whole}
    prefix, layer = known
    ends = _T5_ENDS if layer is _T5 else _ENDS
    renamed = {}
    for name in whole:
        if name in _COMPUTED:
            continue
        match = _LAYER.fullmatch(name)
        if match and (inner := layer.get(match[3])):
            renamed[name] = f"{prefix}.{match[2]}.{inner}.{match[4]}"
        else:
            renamed[name] = ends.get(name, name)
    return renamed
