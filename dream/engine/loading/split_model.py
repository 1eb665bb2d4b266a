"""Loads a model whose denoiser is a file of its own, with its text encoders, VAE and tokenizers in
other files, or in the same one: ComfyUI's layout. Offline.

Configurations are inferred from shapes, names are converted to diffusers', and both lists of
weights are compared: nothing is ever half loaded. Text encoders are shared among the models in
memory that use the same file.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from accelerate import init_empty_weights

from dream.catalogue.config_limits import refuse_huge_settings
from dream.catalogue.detect import DetectedModel, detect
from dream.catalogue.detect.pieces import DENOISER
from dream.catalogue.detect.require import require_model
from dream.catalogue.model_info import VISION, ModelInfo, PartFile
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError
from dream.core.file_names import get_file_stamp
from dream.engine.loading.build_vaes import load_vae_of_kind
from dream.engine.loading.checkpoint import open_tensors
from dream.engine.loading.clip_tokenizer import build_clip_tokenizer
from dream.engine.loading.components import load_tokenizer
from dream.engine.loading.diffusers_maps import PIXART_POSITIONS, pixart_positions
from dream.engine.loading.key_maps import QWEN_ZERO_TIME, convert_names
from dream.engine.loading.loaded_weights import keep_float32, use_plain_layout
from dream.engine.loading.mistral_tokenizer import (
    build_mistral_tokenizer,
    read_mistral_tokenizer,
)
from dream.engine.loading.mmap_file import MappedFile
from dream.engine.loading.qwen_processor import build_processor
from dream.engine.loading.shared_encoders import EncoderKey, SharedEncoders
from dream.engine.loading.single_file import build_vae
from dream.engine.loading.text_encoders import load_text_encoder
from dream.engine.loading.transformer_config import infer_transformer_config
from dream.engine.loading.vision_language import convert_tower
from dream.engine.loading.weight_copy import (
    load_weights,
    missing_weights_error,
)
from dream.engine.memory.device import NO_OFFLOAD, Placement
from dream.options.editors import find_editor
from dream.options.family import Family
from dream.options.family_table import get_family

_PADS = {"text_encoder": "<|endoftext|>", "text_encoder_2": "!"}
"""What CLIP's tokenizers pad with."""
_TOKENIZERS = {
    "gemma2": "GemmaTokenizer",
    "qwen2.5-vl": "Qwen2Tokenizer",
    "qwen3": "Qwen2Tokenizer",
    "qwen3-vl": "Qwen2Tokenizer",
    "t5": "T5Tokenizer",
    "umt5": "LlamaTokenizer",
}
"""The class of a tokenizer whose configuration names none of these."""


@dataclass
class _Files:
    """The files of one model, each opened once."""

    opened: dict[Path, tuple[DetectedModel, MappedFile]] = field(default_factory=dict)

    def open(self, path: Path) -> tuple[DetectedModel, MappedFile]:
        if path not in self.opened:
            detected = detect(path)
            self.opened[path] = detected, open_tensors(path, detected.format)
        return self.opened[path]

    def take(self, path: Path, prefix: str) -> dict[str, Any]:
        """The tensors whose names begin so, by the rest of their names."""
        tensors = self.open(path)[1].tensors
        return {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}


def load_split_model(info: ModelInfo, placement: Placement, shared: SharedEncoders) -> Any:
    """The pipeline of a model whose `parts` say where its text encoders, tokenizers and VAE are.

    Raises ModelError for a model that lacks one, and for a file with missing or unused weights.
    """
    if info.missing:
        raise ModelError(f"{info.name} lacks {info.missing[0]}")
    detected = require_model(info.path)
    family = get_family(detected.family)
    files = _Files()
    try:
        parts = {
            part.part: _load_part(part, info, files, placement, shared)
            for part in info.parts
            if part.part != VISION
        }
        parts["transformer"] = _load_denoiser(family, detected, files, placement)
    except KeyError as error:
        raise missing_weights_error(info.path, str(error.args[0])) from error
    for need in family.encoders:
        name = need.part.replace("text_encoder", "tokenizer")
        parts.setdefault(need.part, None)
        if need.kind == "clip":
            parts[name] = build_clip_tokenizer(_PADS[need.part])
        parts.setdefault(name, None)
    settings = {**family.scheduler, **dict(info.scheduler)}
    noise = settings.pop("_class_name", "FlowMatchEulerDiscreteScheduler")
    parts["scheduler"] = getattr(diffusers, str(noise)).from_config(settings)
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.to(placement.storage_device)  # what is computed and not in a file
    own = family.find_wide(detected.variant) or find_editor(family.key, info.edits) or family
    kind = getattr(diffusers, f"{own.pipeline}Pipeline")
    takes = signature(kind.__init__).parameters
    if "processor" in takes:
        parts["processor"] = build_processor(parts["tokenizer"])
    return kind(**parts, **{name: v for name, v in info.pipeline_settings if name in takes})


def _load_denoiser(
    family: Family, detected: DetectedModel, files: _Files, placement: Placement
) -> Any:
    prefix = next(piece.prefix for piece in detected.pieces if piece.role == DENOISER)
    own = files.take(detected.path, prefix)
    converted = convert_names(family.transformer, own)
    config = infer_transformer_config(family.transformer, converted)
    if QWEN_ZERO_TIME in own:
        config["zero_cond_t"] = True
    if PIXART_POSITIONS in own and family.transformer == "PixArtTransformer2DModel":
        config |= pixart_positions(family.key, own[PIXART_POSITIONS].shape[1])
    with init_empty_weights():
        model = getattr(diffusers, family.transformer).from_config(config)
    _, mapped = files.open(detected.path)
    loaded = load_weights(model, converted, detected.path, placement, (mapped,))
    return keep_float32(use_plain_layout(loaded), converted)


def _load_part(
    part: PartFile, info: ModelInfo, files: _Files, placement: Placement, shared: SharedEncoders
) -> Any:
    if part.part.startswith("tokenizer"):
        return _load_tokenizer(part, files)
    detected, mapped = files.open(part.path)
    if part.part == "vae":
        own = files.take(part.path, part.prefix)
        if part.kind == "kl":
            return build_vae(own, {}, replace(detected, family=info.family), placement, mapped)
        return load_vae_of_kind(part.kind, own, detected, placement, mapped)
    needs = get_family(info.family).encoders
    projected = any(need.projected for need in needs if need.part == part.part)
    own = files.take(part.path, part.prefix)
    towers = [one.path for one in info.parts if one.part == VISION and one.kind == part.kind]
    for tower in towers:
        own |= convert_tower(files.take(tower, ""))
    load = partial(
        load_text_encoder,
        part.kind,
        part.part,
        own,
        part.path,
        placement,
        mapped,
        projected=projected,
    )
    if placement.offload_mode != NO_OFFLOAD:  # its hooks belong to one pipeline
        return load()
    variant = (part.part, projected) if part.kind == "clip" else ()
    stamps = [(path, get_file_stamp(path)) for path in (part.path, *towers)]
    details = part.prefix, variant, placement, tuple(stamps)
    return shared.get(EncoderKey(part.path, details), load)


def _load_tokenizer(part: PartFile, files: _Files) -> Any:
    if part.prefix:  # inside the file of its text encoder
        tensor = files.open(part.path)[1].tensors[part.prefix]
        return build_mistral_tokenizer(tensor.numpy().tobytes())
    if part.kind == "mistral3":
        return read_mistral_tokenizer(part.path)
    refuse_huge_settings(part.path)
    if part.kind == "llama3":  # whose copies on the hub pad on the other side
        return transformers.PreTrainedTokenizerFast.from_pretrained(
            part.path, local_files_only=True, padding_side="right"
        )
    return load_tokenizer(_tokenizer_class(part), part.path)


def _tokenizer_class(part: PartFile) -> str:
    """The class that its configuration names, if it is one of the known ones."""
    with suppress(OSError, ValueError):
        table = read_json(part.path / "tokenizer_config.json")
        named = table.get("tokenizer_class") if isinstance(table, dict) else None
        if isinstance(named, str) and named.removesuffix("Fast") in _TOKENIZERS.values():
            return named
    return _TOKENIZERS[part.kind]
