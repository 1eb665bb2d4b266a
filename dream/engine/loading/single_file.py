"""Loads a single file in CompVis' and Stability's layout as a diffusers pipeline; offline.

The configuration is inferred from the shapes (`config_from_shapes`), the tokenizer is CLIP's
(`clip_tokenizer`), and diffusers' own functions convert the names. A weight that is missing, unused
or of another shape is an error: nothing is ever half loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
from accelerate import init_empty_weights
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection
from transformers.initialization import no_init_weights

from dream.catalogue.detect import DetectedModel
from dream.catalogue.detect.model_kinds import UNET
from dream.catalogue.detect.pieces import VAE
from dream.catalogue.detect.require import require_vae
from dream.core.errors import ModelError
from dream.engine.loading.build_vaes import OTHER_VAES, load_vae_of_kind
from dream.engine.loading.checkpoint import Checkpoint, open_checkpoint, open_tensors
from dream.engine.loading.clip_tokenizer import (
    VOCAB_SIZE,
    build_clip_tokenizer,
    build_tokenizer_from_metadata,
)
from dream.engine.loading.components import current_vae_name
from dream.engine.loading.config_from_shapes import (
    TextEncoderSpec,
    count_open_clip_blocks,
    infer_clip_text_config,
    infer_open_clip_text_config,
    infer_scheduler_config,
    infer_unet_config,
    infer_vae_config,
    list_text_encoders,
)
from dream.engine.loading.late_weights import LateWeights
from dream.engine.loading.mmap_file import MappedFile
from dream.engine.loading.refiner import RefinerPipeline
from dream.engine.loading.weight_copy import load_weights, missing_weights_error
from dream.engine.memory.device import Placement

Tensors = dict[str, torch.Tensor]
MakeUnet = Callable[[Mapping[str, Any], int], Any]
"""Takes the configuration of a UNet and the width of the pooled text embedding."""

_NO_TEXT = ("vision_model.", "visual_projection.", "visual.", "logit_scale")
"""Prefixes of a whole CLIP's weights that are not of its text encoder."""

_VAE = "first_stage_model."
_IGNORED_PREFIXES = ("loss.", "model_ema.")
"""What a VAE's file keeps of its training."""


def load_file(
    path: Path,
    placement: Placement,
    *,
    ema: bool = False,
    make_unet: MakeUnet | None = None,
    late: LateWeights | None = None,
) -> Any:
    """The pipeline of the model in a file; with `ema`, with its EMA weights. A file that was pruned
    of its VAE gives a pipeline without one: see `vae_override.replace_vae`. `make_unet` gives
    another UNet for the file's, whose weights are otherwise left to `late`, if it is given.

    Raises ModelError for a file of another kind, one that would run code, and one with missing
    weights.
    """
    file = open_checkpoint(path, ema)
    detected = file.detected
    try:
        encoders = {
            text.part: _text(file, detected, text, placement)
            for text in list_text_encoders(detected)
        }
        pooled = [e.config.projection_dim for e in encoders.values()][-1]
        config = _unet_config(file, detected, pooled)
        parts = {
            **encoders,
            **_tokenizers(file, detected),
            "unet": (
                make_unet(config, pooled) if make_unet else _unet(file, config, placement, late)
            ),
            "vae": _vae(file, detected, placement),
            "scheduler": _scheduler(file, detected),
        }
    except KeyError as error:
        raise missing_weights_error(path, str(error.args[0])) from error
    return _pipeline(detected, parts)


def load_vae(path: Path, placement: Placement, family: str = "sd1") -> Any:
    """A VAE alone, from its own file or from a whole model's; for a model of that family.

    Raises ModelError for a file of another kind, or one with missing weights.
    """
    detected = require_vae(path)
    mapped = open_tensors(path, detected.format)
    names = mapped.tensors
    prefix = next((p for p in (_VAE, "vae.") if any(n.startswith(p) for n in names)), "")
    own = {n.removeprefix(prefix): t for n, t in names.items() if n.startswith(prefix)}
    kind = next((piece.kind for piece in detected.pieces if piece.role == VAE), "kl")
    try:
        if kind in OTHER_VAES:
            return load_vae_of_kind(kind, own, detected, placement, mapped)
        return build_vae(own, {}, replace(detected, family=family), placement, mapped)
    except KeyError as error:
        raise missing_weights_error(path, str(error.args[0])) from error


def _unet_config(file: Checkpoint, detected: DetectedModel, pooled: int) -> Mapping[str, Any]:
    embedded = file.embedded_config.get("unet")
    return embedded or infer_unet_config(file.get_part(UNET), detected, pooled)


def _unet(
    file: Checkpoint, config: Mapping[str, Any], placement: Placement, late: LateWeights | None
) -> Any:
    own, path = file.get_part(UNET), file.detected.path
    return build_unet(own, config, path, placement, file.mapped, late)


def build_unet(
    own: Tensors,
    config: Mapping[str, Any],
    path: Path,
    placement: Placement,
    mapped: MappedFile,
    late: LateWeights | None = None,
) -> Any:
    """A UNet2DConditionModel of this configuration from its weights, by their names after
    `model.diffusion_model.`; see `load_weights`. Raises KeyError and ModelError for weights that
    lack."""
    with init_empty_weights():
        model = diffusers.UNet2DConditionModel.from_config(dict(config))
    converted = convert_ldm_unet_checkpoint({UNET + n: t for n, t in own.items()}, model.config)
    whole = _check_all_used(path, own, converted, model)
    return load_weights(model, whole, path, placement, (mapped,), late)


def _vae(file: Checkpoint, detected: DetectedModel, placement: Placement) -> Any:
    own = file.get_part(_VAE)
    if not own:
        return None
    return build_vae(own, file.embedded_config.get("vae", {}), detected, placement, file.mapped)


def build_vae(
    own: Tensors,
    embedded: Mapping[str, Any],
    detected: DetectedModel,
    placement: Placement,
    mapped: MappedFile,
) -> Any:
    """An AutoencoderKL from its weights, in the original layout or in diffusers'; `embedded` is its
    configuration, if the file has it. Raises KeyError and ModelError for weights that lack."""
    path = detected.path
    own = {name: tensor for name, tensor in own.items() if not name.startswith(_IGNORED_PREFIXES)}
    if any(name.startswith("decoder.up_blocks.") for name in own):
        _require(path, own, "encoder.down_blocks.0.resnets.0.conv1.weight")
        with init_empty_weights():
            model = diffusers.AutoencoderKL.from_config(embedded or infer_vae_config(own, detected))
        named = {current_vae_name(name): _as_matrix(name, tensor) for name, tensor in own.items()}
        return load_weights(model, named, path, placement, (mapped,))
    _require(path, own, "encoder.down.0.block.0.conv1.weight")
    own = {_original_name(name): tensor for name, tensor in own.items()}
    with init_empty_weights():
        model = diffusers.AutoencoderKL.from_config(embedded or infer_vae_config(own, detected))
    converted = convert_ldm_vae_checkpoint({_VAE + n: t for n, t in own.items()}, model.config)
    return load_weights(
        model, _check_all_used(path, own, converted, model), path, placement, (mapped,)
    )


def _require(path: Path, own: Tensors, name: str) -> None:
    if name not in own:
        raise missing_weights_error(path, name)


def _as_matrix(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Attention weights that were 1x1 convolutions are matrices today."""
    return tensor[..., 0, 0] if "attentions" in name and tensor.ndim == 4 else tensor


def _original_name(name: str) -> str:
    """A weight's name in the original layout. Some trainers use diffusers' names for the attention
    of a VAE in that layout."""
    if ".attn_1.to_" not in name:
        return name
    renamed = re.sub(r"\.attn_1\.to_([qkv])\.", r".attn_1.\1.", name)
    return renamed.replace(".attn_1.to_out.0.", ".attn_1.proj_out.")


def _text(
    file: Checkpoint, detected: DetectedModel, text: TextEncoderSpec, placement: Placement
) -> Any:
    own = {n: t for n, t in file.get_part(text.prefix).items() if not n.startswith(_NO_TEXT)}
    blocks = count_open_clip_blocks(own, detected.family)
    config = file.embedded_config.get(text.part) or (
        infer_open_clip_text_config(own, blocks) if text.open_clip else infer_clip_text_config(own)
    )
    size = config["vocab_size"]
    if size != VOCAB_SIZE and "tokenizer" not in file.embedded_config:
        raise ModelError(
            f"{detected.path} has a vocabulary of {size:,}, not {VOCAB_SIZE:,} tokens",
            "use its folder in diffusers layout, which includes the tokenizer",
        )
    last = VOCAB_SIZE - 1
    marks = {"bos_token_id": last - 1, "eos_token_id": last, "pad_token_id": last}
    kind = CLIPTextModelWithProjection if text.projected else CLIPTextModel
    with init_empty_weights(), no_init_weights():
        model = kind(CLIPTextConfig(**{**marks, **config}))
    named = {text.prefix + name: tensor for name, tensor in own.items()}
    if text.open_clip:
        skipped = f"{text.prefix}transformer.resblocks.{blocks}."
        named_used = {name: named[name] for name in named if not name.startswith(skipped)}
        converted = convert_open_clip_checkpoint(model, named_used, prefix=text.prefix)
    else:
        converted = convert_ldm_clip_checkpoint(named)
    converted.pop("text_model.embeddings.position_ids", None)
    if not text.projected:
        converted.pop("text_projection.weight", None)
    if not any(name.startswith("text_model.") for name in model.state_dict()):
        converted = {name.removeprefix("text_model."): t for name, t in converted.items()}
    return load_weights(model, converted, detected.path, placement, (file.mapped,))


def _tokenizers(file: Checkpoint, detected: DetectedModel) -> dict[str, Any]:
    if files := file.embedded_config.get("tokenizer"):
        try:
            return {"tokenizer": build_tokenizer_from_metadata(files)}
        except (ValueError, OSError, TypeError) as error:
            raise ModelError(
                f"{detected.path}: its embedded tokenizer is broken: {error}"
            ) from error
    pads = {True: "!", False: "<|endoftext|>"}
    return {
        text.part.replace("text_encoder", "tokenizer"): build_clip_tokenizer(pads[text.open_clip])
        for text in list_text_encoders(detected)
    }


def _scheduler(file: Checkpoint, detected: DetectedModel) -> Any:
    embedded = file.embedded_config.get("scheduler")
    if embedded and (named := getattr(diffusers, str(embedded.get("_class_name")), None)):
        return named.from_config(embedded)
    kind = (
        diffusers.EulerDiscreteScheduler if detected.family == "sdxl" else diffusers.DDIMScheduler
    )
    return kind.from_config(infer_scheduler_config(detected))


def _pipeline(detected: DetectedModel, parts: dict[str, Any]) -> Any:
    if detected.variant == "refiner":
        return RefinerPipeline(
            text_encoder=None,
            tokenizer=None,
            force_zeros_for_empty_prompt=False,
            add_watermarker=False,
            **parts,
        )
    if detected.family == "sdxl":
        return diffusers.StableDiffusionXLPipeline(add_watermarker=False, **parts)
    return diffusers.StableDiffusionPipeline(
        safety_checker=None, feature_extractor=None, requires_safety_checker=False, **parts
    )


def _check_all_used(path: Path, own: Tensors, converted: Tensors, model: Any) -> Tensors:
    """The converted weights, and those that had diffusers' names already, because the layout has
    none for them.

    Raises ModelError for unused weights.
    """
    places = model.state_dict().keys() - converted.keys()
    already = {name: own[name] for name in own if name in places}
    over = len(own) - len(converted) - len(already)
    if over > 0:
        raise ModelError(
            f"{path} has {over} weights that {type(model).__name__} does not use",
            "its architecture is not supported",
        )
    return converted | already
