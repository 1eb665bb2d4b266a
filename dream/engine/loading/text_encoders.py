"""Builds the text encoders of models in several files, from the shapes of their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import init_empty_weights
from transformers.initialization import no_init_weights

from dream.core.errors import ModelError
from dream.engine.loading.clip_tokenizer import VOCAB_SIZE
from dream.engine.loading.config_from_shapes import (
    infer_clip_text_config,
)
from dream.engine.loading.mmap_file import MappedFile
from dream.engine.loading.weight_copy import load_weights
from dream.engine.memory.device import Placement

Tensors = dict[str, torch.Tensor]

_BUFFERS = (".rotary_emb.inv_freq", ".embeddings.position_ids")
"""Ends of names of numbers that are computed, and that some files have too."""
_GEMMA_HEAD = 256
_VISION_HEAD = 80
"""Width of a head of attention in Qwen2.5-VL's vision."""


def load_text_encoder(
    kind: str,
    part: str,
    tensors: Tensors,
    path: Path,
    placement: Placement,
    mapped: MappedFile,
    *,
    projected: bool = False,
) -> Any:
    """A text encoder of a kind of the table of text encoders, as the part of that name in a
    pipeline; `projected` CLIPs have a pooled output too.

    Raises KeyError for a weight that lacks, ModelError for one that is not used.
    """
    own = {name: tensor for name, tensor in tensors.items() if not name.endswith(_BUFFERS)}
    if kind == "clip":
        return _load_clip(part, own, path, placement, mapped, projected)
    model, weights = _BUILDERS[kind](own)
    loaded = load_weights(model, weights, path, placement, (mapped,))
    if kind == "t5" and placement.dtype == torch.float16:
        for name, module in loaded.named_modules():
            if name.endswith(".wo"):
                module.float()  # overflows in float16; transformers keeps it in float32, too
    return loaded


def _load_clip(
    part: str,
    tensors: Tensors,
    path: Path,
    placement: Placement,
    mapped: MappedFile,
    projected: bool,
) -> Any:
    if "token_embedding.weight" in tensors:
        raise ModelError(
            f"{path} has OpenCLIP's tensor names", "use a file in transformers' layout"
        )
    first = part == "text_encoder"
    config = infer_clip_text_config(tensors) | {"hidden_act": "quick_gelu" if first else "gelu"}
    projection = tensors.get("text_projection.weight")
    if projection is not None:
        config["projection_dim"] = projection.shape[0]
    last = VOCAB_SIZE - 1
    marks = {"bos_token_id": last - 1, "eos_token_id": last, "pad_token_id": last}
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    with init_empty_weights(), no_init_weights():
        model = kind(transformers.CLIPTextConfig(**{**config, **marks}))
    places = model.state_dict()
    named = {
        name if name in places else name.removeprefix("text_model."): tensor
        for name, tensor in tensors.items()
        if name != "logit_scale" and (projected or name != "text_projection.weight")
    }
    return load_weights(model, named, path, placement, (mapped,))


def _t5(tensors: Tensors) -> tuple[Any, Tensors]:
    words, width = tensors["shared.weight"].shape
    block = "encoder.block.{}.layer.1.DenseReluDense.wo.weight"
    bias = tensors["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"].shape
    gated = "encoder.block.0.layer.1.DenseReluDense.wi_0.weight" in tensors
    config = transformers.T5Config(
        vocab_size=words,
        d_model=width,
        d_kv=tensors["encoder.block.0.layer.0.SelfAttention.q.weight"].shape[0] // bias[1],
        d_ff=tensors[block.format(0)].shape[1],
        num_layers=_count(tensors, block),
        num_heads=bias[1],
        relative_attention_num_buckets=bias[0],
        feed_forward_proj="gated-gelu" if gated else "relu",
    )
    model = _build(transformers.T5EncoderModel, config)
    tied = {"encoder.embed_tokens.weight": tensors["shared.weight"]}
    used = {n: t for n, t in tensors.items() if not n.startswith(("decoder.", "lm_head."))}
    return model, tied | used


def _qwen3(tensors: Tensors) -> tuple[Any, Tensors]:
    head = tensors["model.layers.0.self_attn.q_norm.weight"].shape[0]
    config = transformers.Qwen3Config(
        **_decoder_config(tensors, head),
        head_dim=head,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        max_position_embeddings=40_960,
    )
    return _build(transformers.Qwen3Model, config), _without_head(tensors, "model.")


def _gemma2(tensors: Tensors) -> tuple[Any, Tensors]:
    keys = tensors["model.layers.0.self_attn.k_proj.weight"].shape[0]
    head = _GEMMA_HEAD if keys % _GEMMA_HEAD == 0 else keys
    config = transformers.Gemma2Config(
        **_decoder_config(tensors, head),
        head_dim=head,
        query_pre_attn_scalar=head,
        rms_norm_eps=1e-6,
        sliding_window=4096,
        max_position_embeddings=8192,
    )
    return _build(transformers.Gemma2Model, config), _without_head(tensors, "model.")


def _qwen25_vl(tensors: Tensors) -> tuple[Any, Tensors]:
    """Its vision is there for the models that edit; a file without it reads words only."""
    named = {_qwen25_name(name): tensor for name, tensor in tensors.items()}
    start = "model.language_model."
    decoder = {"model." + n.removeprefix(start): t for n, t in named.items() if n.startswith(start)}
    queries, keys = (
        decoder[f"model.layers.0.self_attn.{part}_proj.weight"].shape[0] for part in "qk"
    )
    head = 128 if keys % 128 == 0 else keys
    config = _decoder_config(decoder, head)
    sections = [head * share // 128 for share in (16, 24, 24)]
    sections[0] += head // 2 - sum(sections)
    text = {
        **config,
        "num_attention_heads": queries // head,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 128_000,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections},
    }
    whole = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=_vision_config(named))
    model = _build(transformers.Qwen2_5_VLForConditionalGeneration, whole)
    if not any(name.startswith("model.visual.") for name in named):
        del model.model.visual
    model.lm_head = torch.nn.Identity()  # would make words, which nobody reads
    named.pop("lm_head.weight", None)
    return model, named


def _qwen25_name(name: str) -> str:
    if name.startswith("visual."):
        return f"model.{name}"
    if name.startswith("model.") and not name.startswith(
        ("model.visual.", "model.language_model.")
    ):
        return f"model.language_model.{name.removeprefix('model.')}"
    return name


def _vision_config(named: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    block = "model.visual.blocks.{}.attn.qkv.weight"
    if block.format(0) not in named:
        return {"depth": 1}
    width = named[block.format(0)].shape[1]
    return {
        "depth": _count(named, block),
        "hidden_size": width,
        "intermediate_size": named["model.visual.blocks.0.mlp.gate_proj.weight"].shape[0],
        "num_heads": max(1, width // _VISION_HEAD),
        "out_hidden_size": named["model.visual.merger.mlp.2.weight"].shape[0],
    }


def _decoder_config(tensors: Mapping[str, torch.Tensor], head: int) -> dict[str, Any]:
    """The configuration that language models share; `head` is the width of a head."""
    words, width = tensors["model.embed_tokens.weight"].shape
    layer = "model.layers.{}.self_attn.q_proj.weight"
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": tensors["model.layers.0.mlp.gate_proj.weight"].shape[0],
        "num_hidden_layers": _count(tensors, layer),
        "num_attention_heads": tensors[layer.format(0)].shape[0] // head,
        "num_key_value_heads": tensors["model.layers.0.self_attn.k_proj.weight"].shape[0] // head,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }


def _without_head(tensors: Tensors, prefix: str) -> Tensors:
    """The weights by the names of the model without its head."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _build(kind: Any, config: Any) -> Any:
    with init_empty_weights(), no_init_weights():
        return kind(config)


_BUILDERS: Mapping[str, Callable[[Tensors], tuple[Any, Tensors]]] = {
    "gemma2": _gemma2,
    "qwen2.5-vl": _qwen25_vl,
    "qwen3": _qwen3,
    "t5": _t5,
}
"""By the key of a row in the table of text encoders."""


def _count(tensors: Mapping[str, torch.Tensor], pattern: str) -> int:
    return next(n for n in count() if pattern.format(n) not in tensors)
