"""Opens a single weight file: its tensors stay on disk until they are copied."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from dream.catalogue.detect import DetectedModel, read_header, require_model
from dream.catalogue.detect.model_kinds import UNET
from dream.catalogue.detect.pickle_names import (
    IGNORED_GLOBALS,
    PARAMETER_DICT,
    SETS,
    ParameterTable,
    StubObject,
)
from dream.catalogue.detect.pickles import weights_in
from dream.core.errors import ModelError, summarize
from dream.engine.loading.formats.llama_names import with_names_of_transformers
from dream.engine.loading.formats.safetensors_scales import join_scales
from dream.engine.loading.mmap_file import MappedFile, open_gguf, open_mapped

METADATA_PREFIX = "dream."
"""Prefix of the metadata keys for what the layout cannot express, as JSON: `dream.unet`,
`dream.vae`, `dream.text_encoder`, `dream.scheduler` (configurations as in diffusers) and
`dream.tokenizer` (its files, by name)."""

_CLIP = "cond_stage_model.transformer."
_BEFORE_2023 = tuple(_CLIP + name for name in ("embeddings.", "encoder.", "final_layer_norm."))
_BREAKS = (
    SafetensorError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""The exceptions that readers raise for broken files."""
_EMA = "model_ema."


@dataclass(frozen=True)
class Checkpoint:
    """A model's file, detected and open."""

    detected: DetectedModel
    tensors: Mapping[str, torch.Tensor]
    """On the CPU, in the file's dtypes, backed by the file where its format allows."""
    embedded_config: Mapping[str, Mapping[str, Any]]
    """Configurations from the metadata, by component."""
    mapped: MappedFile
    """The file behind the tensors."""

    def get_part(self, prefix: str) -> dict[str, torch.Tensor]:
        """The tensors whose names have this prefix, by the rest of their names."""
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }


def open_checkpoint(path: Path, ema: bool = False) -> Checkpoint:
    """Open a model's file. Its EMA weights (`model_ema.`) are left out, because other programs use
    the main weights; with `ema` they are the denoiser's weights. Raises ModelError, see
    `detect.require_model`, and for incomplete EMA weights."""
    detected = require_model(path)
    mapped = open_tensors(path, detected.format)
    tensors = _with_ema_weights(path, mapped.tensors) if ema else mapped.tensors
    header = read_header(path)
    return Checkpoint(
        detected,
        {_current_key_name(name): tensors[name] for name in tensors if not name.startswith(_EMA)},
        _parse_embedded_config(path, header.metadata),
        mapped,
    )


def open_tensors(path: Path, form: str) -> MappedFile:
    """Every tensor of a file; form: "safetensors", "gguf", "zip" or "legacy". Quantized weights are
    encoded (see `EncodedTensor`), under the names that unquantized weights have; text encoders in
    GGUF files have transformers' names. Raises ModelError."""
    try:
        if form == "gguf":
            return with_names_of_transformers(open_gguf(path))
        mapped = open_mapped(path) if form == "safetensors" else MappedFile(_unpickle(path, form))
        return replace(mapped, tensors=join_scales(mapped.tensors, mapped.metadata, path))
    except _BREAKS as error:
        message = f"{path} cannot be read: {summarize(error)}"
        raise ModelError(message, "copy or download it again") from error


def _unpickle(path: Path, form: str) -> dict[str, torch.Tensor]:
    """Only what weights_only permits; training records beside the weights become stubs. That holds
    for everything this process loads meanwhile, and is harmless: StubObject has no state."""
    stubs: list[Any] = [(StubObject, name) for name in (*IGNORED_GLOBALS, *SETS)]
    stubs.append((ParameterTable, PARAMETER_DICT))
    try:
        with torch.serialization.safe_globals(stubs):
            whole = torch.load(path, map_location="cpu", weights_only=True, mmap=form == "zip")
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is refused: loading it would run code, or it is truncated",
            "use a .safetensors version, or convert it on an isolated machine",
        ) from error
    if not isinstance(whole, dict):
        raise ModelError(f"{path} contains no dictionary of weights")
    return weights_in(whole, torch.Tensor)


def _with_ema_weights(path: Path, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The EMA weights under the names of the main weights. The trainer (LitEma) stored them by
    these names without dots."""
    averages = {
        name: f"{_EMA}{name.removeprefix('model.').replace('.', '')}"
        for name in tensors
        if name.startswith(UNET)
    }
    missing = [old for old in averages.values() if old not in tensors]
    if missing:
        none = len(missing) == len(averages)
        what = f"no EMA weights ({_EMA})" if none else f"no {missing[0]}"
        raise ModelError(
            f"{path} contains {what}", "remove ema from its entry to use its main weights"
        )
    return {name: tensors[averages.get(name, name)] for name in tensors}


def _current_key_name(name: str) -> str:
    """Files from before transformers 4.2x lack `text_model.` in the names of CLIP's weights."""
    return f"{_CLIP}text_model.{name[len(_CLIP) :]}" if name.startswith(_BEFORE_2023) else name


def _parse_embedded_config(path: Path, metadata: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    embedded: dict[str, dict[str, Any]] = {}
    for key, text in metadata.items():
        if not key.startswith(METADATA_PREFIX):
            continue
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ModelError(
                f"{path}: its metadata {key} is not valid JSON", "export it again"
            ) from error
        if isinstance(value, dict):
            embedded[key.removeprefix(METADATA_PREFIX)] = value
    return embedded
