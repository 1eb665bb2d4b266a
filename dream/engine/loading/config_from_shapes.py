"""Configurations of a model's components, inferred from the shapes of its weights.

A file in CompVis' and Stability's layout has no configuration. What its shapes do not show is the
same in every such model, and is a constant here: 8 attention heads in Stable Diffusion 1, heads of
width 64 in its successors.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from itertools import count, takewhile
from typing import Any, NamedTuple, Protocol

from dream.catalogue.detect import DetectedModel
from dream.options.family_table import get_family

HEAD_DIM = 64
"""Width of an attention head, except in the UNet of Stable Diffusion 1: see SD1_NUM_HEADS."""
SD1_NUM_HEADS = 8

OPENCLIP_H_LAYERS = 24
"""Blocks of Stable Diffusion 2's text encoder, the last of which is not used."""

_SCALING = {"sdxl": 0.13025}
_USUAL_SCALING = 0.18215
_SHIFTED = {"flux": (0.3611, 0.1159), "sd3": (1.5305, 0.0609)}
"""Scaling and shift of latents, by the latent space of a family: `Family.space`."""
_NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
}


class HasShape(Protocol):
    """A tensor, or the description of one in a header."""

    @property
    def shape(self) -> Any:
        """The size of each dimension."""


Shapes = Mapping[str, HasShape]


def count_blocks(names: Container[str], pattern: str) -> int:
    """How many blocks there are, numbered from 0 without a gap: `pattern` is the name of a weight
    of each, with {} for the number."""
    return next(number for number in count() if pattern.format(number) not in names)


class TextEncoderSpec(NamedTuple):
    """A text encoder in a file: the prefix of its weights' names, and its architecture."""

    part: str
    """"text_encoder" or "text_encoder_2"."""
    prefix: str
    open_clip: bool
    """Whether its names are OpenCLIP's; else they are transformers'."""
    projected: bool = False
    """Whether the pooled embedding is used too."""


def list_text_encoders(detected: DetectedModel) -> tuple[TextEncoderSpec, ...]:
    """The text encoders of a family."""
    if detected.family == "sd1":
        return (TextEncoderSpec("text_encoder", "cond_stage_model.transformer.", False),)
    if detected.family == "sd2":
        return (TextEncoderSpec("text_encoder", "cond_stage_model.model.", True),)
    if detected.variant == "refiner":
        return (TextEncoderSpec("text_encoder_2", "conditioner.embedders.0.model.", True, True),)
    return (
        TextEncoderSpec("text_encoder", "conditioner.embedders.0.transformer.", False),
        TextEncoderSpec("text_encoder_2", "conditioner.embedders.1.model.", True, True),
    )


def infer_unet_config(shapes: Shapes, detected: DetectedModel, pooled: int) -> dict[str, Any]:
    """The configuration of a UNet2DConditionModel; shapes: of its weights, by their names
    after `model.diffusion_model.`; pooled: width of the pooled text embedding. Raises KeyError for
    a missing weight."""
    layers = _layers(shapes)
    levels = _unet_levels(shapes, layers)
    channels = [shapes[f"{block}.0.out_layers.3.weight"].shape[0] for block in levels]
    deep = _depth(shapes, "middle_block.1")
    depths = [_depth(shapes, f"{block}.1") for block in levels]
    kinds = ["CrossAttn" if depth else "" for depth in depths]
    middle = "middle_block.1.transformer_blocks.0.attn2.to_k.weight"
    return {
        "sample_size": detected.size[0] // 8,
        "in_channels": shapes["input_blocks.0.0.weight"].shape[1],
        "out_channels": shapes["out.2.weight"].shape[0],
        "block_out_channels": channels,
        "layers_per_block": layers,
        "down_block_types": [f"{kind}DownBlock2D" for kind in kinds],
        "up_block_types": [f"{kind}UpBlock2D" for kind in reversed(kinds)],
        "cross_attention_dim": shapes[middle].shape[1],
        "transformer_layers_per_block": [depth or deep for depth in depths],
        "attention_head_dim": _heads(channels, detected.family),
        "use_linear_projection": len(shapes["middle_block.1.proj_in.weight"].shape) == 2,
        # Stable Diffusion 2.1 overflows in float16 without it (Stability's `ATTN_PRECISION=fp32`).
        "upcast_attention": detected.family == "sd2",
        "time_embedding_dim": shapes["time_embed.0.weight"].shape[0],
        **_sizes(shapes, detected, pooled),
    }


_ORIGINAL_VAE = ("encoder.down.{}.block.{}.conv1.weight", "encoder.mid.attn_1.q.weight")
_DIFFUSERS_VAE = (
    "encoder.down_blocks.{}.resnets.{}.conv1.weight",
    "encoder.mid_block.attentions.0.group_norm.weight",
)
"""The first weight of a layer, by level and layer, and one that only a VAE with attention has."""


def infer_vae_config(shapes: Shapes, detected: DetectedModel) -> dict[str, Any]:
    """The configuration of an AutoencoderKL; shapes: of its weights, by the original names after
    `first_stage_model.`, or by diffusers'. Raises KeyError for a missing weight."""
    is_original = _ORIGINAL_VAE[0].format(0, 0) in shapes
    layer, attention = _ORIGINAL_VAE if is_original else _DIFFUSERS_VAE
    levels = count_blocks(shapes, layer.format("{}", 0))
    return {
        "sample_size": detected.size[0],
        "latent_channels": shapes["decoder.conv_in.weight"].shape[1],
        "block_out_channels": [shapes[layer.format(n, 0)].shape[0] for n in range(levels)],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": count_blocks(shapes, layer.format(0, "{}")),
        "mid_block_add_attention": attention in shapes,
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
        **_latent_scale(detected.family),
    }


def _latent_scale(family: str) -> dict[str, float]:
    """The scaling of a family's latents, which no file says."""
    space = get_family(family).space
    if space in _SHIFTED:
        scaling, shift = _SHIFTED[space]
        return {"scaling_factor": scaling, "shift_factor": shift}
    return {"scaling_factor": _SCALING.get(space, _USUAL_SCALING)}


def infer_clip_text_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of a CLIPTextModel; shapes: of its weights, by transformers' names,
    with the prefix `text_model.`. Raises KeyError for a missing weight."""
    tokens = shapes["text_model.embeddings.token_embedding.weight"].shape
    block = "text_model.encoder.layers.{}.mlp.fc1.weight"
    return {
        **_embedding_sizes(tokens, shapes["text_model.embeddings.position_embedding.weight"].shape),
        "num_hidden_layers": count_blocks(shapes, block),
        "intermediate_size": shapes[block.format(0)].shape[0],
        "projection_dim": tokens[1],
        "hidden_act": "quick_gelu",
    }


def infer_open_clip_text_config(shapes: Shapes, blocks: int) -> dict[str, Any]:
    """The same from OpenCLIP's names, with the first `blocks` of its blocks. Raises KeyError for a
    missing weight."""
    tokens = shapes["token_embedding.weight"].shape
    projection = shapes.get("text_projection")
    return {
        **_embedding_sizes(tokens, shapes["positional_embedding"].shape),
        "num_hidden_layers": blocks,
        "intermediate_size": shapes["transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        "projection_dim": tokens[1] if projection is None else projection.shape[1],
        "hidden_act": "gelu",
    }


def count_open_clip_blocks(shapes: Shapes, family: str) -> int:
    """How many of its blocks are used. Stable Diffusion 2 uses the output of the last but one;
    files that were converted by way of diffusers lack the last, and with it `text_projection`."""
    present = count_blocks(shapes, "transformer.resblocks.{}.ln_1.weight")
    whole = present == OPENCLIP_H_LAYERS or (
        present != OPENCLIP_H_LAYERS - 1 and "text_projection" in shapes
    )
    return present - 1 if family == "sd2" and whole else present


def infer_scheduler_config(detected: DetectedModel) -> dict[str, Any]:
    """The configuration of the model's noise, for any scheduler with a schedule of betas."""
    common = {**_NOISE, "prediction_type": detected.prediction_type, "timestep_spacing": "leading"}
    if detected.zero_snr:
        common["rescale_betas_zero_snr"] = True
    if detected.family == "sdxl":
        return common
    return {**common, "clip_sample": False, "set_alpha_to_one": False}


def _layers(shapes: Shapes) -> int:
    """Residual blocks per level: a level ends with a convolution that halves width and height."""
    # The first of `input_blocks` is the convolution of the latents.
    resnets = (f"input_blocks.{number}.0.in_layers.0.weight" for number in count(1))
    return sum(1 for _ in takewhile(shapes.__contains__, resnets))


def _unet_levels(shapes: Shapes, layers: int) -> list[str]:
    """The first block of each level."""
    starts = (f"input_blocks.{1 + level * (layers + 1)}" for level in count())
    return list(takewhile(lambda block: f"{block}.0.in_layers.0.weight" in shapes, starts))


def _depth(shapes: Shapes, block: str) -> int:
    return count_blocks(shapes, f"{block}.transformer_blocks.{{}}.norm1.weight")


def _heads(channels: list[int], family: str) -> int | list[int]:
    """The number of attention heads, which diffusers calls attention_head_dim."""
    return SD1_NUM_HEADS if family == "sd1" else [max(1, width // HEAD_DIM) for width in channels]


def _sizes(shapes: Shapes, detected: DetectedModel, pooled: int) -> dict[str, Any]:
    """SDXL is conditioned on the image's sizes too: six numbers, its refiner five."""
    if detected.family != "sdxl":
        return {}
    width = shapes["label_emb.0.0.weight"].shape[1]
    numbers = 5 if detected.variant == "refiner" else 6
    return {
        "addition_embed_type": "text_time",
        "projection_class_embeddings_input_dim": width,
        "addition_time_embed_dim": (width - pooled) // numbers,
    }


def _embedding_sizes(tokens: Any, positions: Any) -> dict[str, Any]:
    return {
        "vocab_size": tokens[0],
        "hidden_size": tokens[1],
        "num_attention_heads": max(1, tokens[1] // HEAD_DIM),
        "max_position_embeddings": positions[0],
    }
