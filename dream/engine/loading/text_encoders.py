"""Builds the text encoders of models in several files, from the shapes of their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import init_empty_weights
from torch.nn.utils.parametrize import is_parametrized
from transformers.initialization import no_init_weights

from dream.core.errors import ModelError
from dream.engine.loading.clip_tokenizer import VOCAB_SIZE
from dream.engine.loading.config_from_shapes import (
    count_blocks,
    infer_clip_text_config,
)
from dream.engine.loading.language_models import build_empty, infer_decoder_config
from dream.engine.loading.mmap_file import MappedFile
from dream.engine.loading.vision_language import build_qwen3_vl, build_qwen25_vl
from dream.engine.loading.weight_copy import load_weights
from dream.engine.memory.device import Placement

Tensors = dict[str, torch.Tensor]

_BUFFERS = (".rotary_emb.inv_freq", ".embeddings.position_ids")
"""Ends of names of numbers that are computed, and that some files have too."""
_GEMMA_HEAD = 256


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
    if kind in ("t5", "umt5") and placement.dtype == torch.float16:
        for name, module in loaded.named_modules():
            if name.endswith(".wo"):  # overflows in float16; transformers keeps it in float32, too
                if not is_parametrized(module):
                    stored = weights[f"{name}.weight"]
                    module.weight.data = stored.to(module.weight.device, torch.float32)
                module.float()
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


def _t5(tensors: Tensors, kind: str = "T5") -> tuple[Any, Tensors]:
    words, width = tensors["shared.weight"].shape
    block = "encoder.block.{}.layer.1.DenseReluDense.wo.weight"
    bias = tensors["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"].shape
    gated = "encoder.block.0.layer.1.DenseReluDense.wi_0.weight" in tensors
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=words,
        d_model=width,
        d_kv=tensors["encoder.block.0.layer.0.SelfAttention.q.weight"].shape[0] // bias[1],
        d_ff=tensors[block.format(0)].shape[1],
        num_layers=count_blocks(tensors, block),
        num_heads=bias[1],
        relative_attention_num_buckets=bias[0],
        feed_forward_proj="gated-gelu" if gated else "relu",
    )
    model = build_empty(getattr(transformers, f"{kind}EncoderModel"), config)
    tied = {"encoder.embed_tokens.weight": tensors["shared.weight"]}
    used = {n: t for n, t in tensors.items() if not n.startswith(("decoder.", "lm_head."))}
    return model, tied | used


def _qwen3(tensors: Tensors) -> tuple[Any, Tensors]:
    head = tensors["model.layers.0.self_attn.q_norm.weight"].shape[0]
    config = transformers.Qwen3Config(
        **infer_decoder_config(tensors, head),
        head_dim=head,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        max_position_embeddings=40_960,
    )
    return build_empty(transformers.Qwen3Model, config), _without_head(tensors, "model.")


def _gemma2(tensors: Tensors) -> tuple[Any, Tensors]:
    keys = tensors["model.layers.0.self_attn.k_proj.weight"].shape[0]
    head = _GEMMA_HEAD if keys % _GEMMA_HEAD == 0 else keys
    config = transformers.Gemma2Config(
        **infer_decoder_config(tensors, head),
        head_dim=head,
        query_pre_attn_scalar=head,
        rms_norm_eps=1e-6,
        sliding_window=4096,
        max_position_embeddings=8192,
    )
    return build_empty(transformers.Gemma2Model, config), _without_head(tensors, "model.")


def _without_head(tensors: Tensors, prefix: str) -> Tensors:
    """The weights by the names of the model without its head."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


_MISTRAL_LAYERS = 30
"""Those that FLUX.2 dev reads: after its 10th, 20th and 30th. The whole model has 40."""


def _mistral3(tensors: Tensors) -> tuple[Any, Tensors]:
    """Without what nobody reads: the layers after the last that is read, and the norm after them.
    Some files lack them."""
    keys = tensors["model.layers.0.self_attn.k_proj.weight"].shape[0]
    head = 128 if keys % 128 == 0 else keys
    config = infer_decoder_config(tensors, head)
    layers = min(config["num_hidden_layers"], _MISTRAL_LAYERS)
    model = build_empty(
        transformers.MistralModel,
        transformers.MistralConfig(
            **{**config, "num_hidden_layers": layers},
            head_dim=head,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 1e9},
            sliding_window=None,
            max_position_embeddings=131_072,
        ),
    )
    model.norm = torch.nn.Identity()
    unread = ("norm.", *(f"layers.{n}." for n in range(layers, config["num_hidden_layers"])))
    named = _without_head(tensors, "model.")
    return model, {n: tensor for n, tensor in named.items() if not n.startswith(unread)}


def _llama3(tensors: Tensors) -> tuple[Any, Tensors]:
    keys = tensors["model.layers.0.self_attn.k_proj.weight"].shape[0]
    head = 128 if keys % 128 == 0 else keys
    config = transformers.LlamaConfig(
        **infer_decoder_config(tensors, head),
        head_dim=head,
        rms_norm_eps=1e-5,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 5e5,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        max_position_embeddings=131_072,
    )
    return build_empty(transformers.LlamaModel, config), _without_head(tensors, "model.")


_BUILDERS: Mapping[str, Callable[[Tensors], tuple[Any, Tensors]]] = {
    "gemma2": _gemma2,
    "llama3": _llama3,
    "mistral3": _mistral3,
    "qwen2.5-vl": build_qwen25_vl,
    "qwen3": _qwen3,
    "qwen3-vl": build_qwen3_vl,
    "t5": _t5,
    "umt5": partial(_t5, kind="UMT5"),
}
"""By the key of a row in the table of text encoders."""
