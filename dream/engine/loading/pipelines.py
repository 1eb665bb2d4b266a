"""Loads a model from disk, a folder or a single file: nothing from the network, no code from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import Any

import diffusers
import torch

from dream.catalogue.detect import detect
from dream.catalogue.detect.require import require_safe
from dream.catalogue.discovery import UPSCALER
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.pipeline_support import find_pipeline_family
from dream.catalogue.weight_files import (
    WeightFiles,
    count_parameters,
    find_weights,
)
from dream.core.errors import ModelError
from dream.engine.adapters.weight_merge import MergedWeights
from dream.engine.conditioning.cache import EncodingCache
from dream.engine.empty_conditioning import add_empty_conditioning
from dream.engine.loading.background_digest import hash_weights_in_background
from dream.engine.loading.components import has_fast_loader, load_component, load_tokenizer
from dream.engine.loading.file_signature import (
    Stamps,
    compute_model_signature,
    count_used_parameters,
    is_overwritten,
    list_weight_files,
)
from dream.engine.loading.late_weights import LateWeights
from dream.engine.loading.load_errors import raise_load_errors
from dream.engine.loading.model_index import Index, Parts, read_index
from dream.engine.loading.quantized_folders import require_packages
from dream.engine.loading.shared_encoders import SharedEncoders
from dream.engine.loading.stored_weights import quantize_loaded
from dream.engine.memory.device import NO_OFFLOAD, Placement, choose_placement
from dream.engine.memory.low_memory import count_mapped_bytes
from dream.engine.memory.offload import offload
from dream.options.editors import find_editor_of_pipeline


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory."""

    info: ModelInfo
    pipe: Any
    """A text-to-image pipeline of diffusers."""
    placement: Placement
    digest: Future[str]
    """SHA-256 of the weights; computed beside the first image, because it may take seconds."""
    file_signature: Stamps
    """Of its files, from before they were read: see `compute_file_signature`."""
    encodings: EncodingCache = field(default_factory=EncodingCache, repr=False, compare=False)
    """The latest encodings of prompts."""
    derived_pipelines: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Other pipelines over the same weights, by class: see `tasks.derived`."""
    compiled: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """What engines besides torch have compiled of its networks: see `backends.engines`."""
    adapters: MergedWeights = field(default_factory=MergedWeights, repr=False, compare=False)
    """The LoRAs that are in the weights."""
    late: LateWeights = field(default_factory=LateWeights, repr=False, compare=False)
    """The denoiser's weights, where they were not needed yet."""


def load_model(
    info: ModelInfo,
    device: str,
    precision: str,
    offload_mode: str = NO_OFFLOAD,
    shared: SharedEncoders | None = None,
    late: LateWeights | None = None,
) -> LoadedModel:
    """Load a model into memory; for `offload_mode` see `offload`; `shared` are the text encoders in
    memory, which it uses and adds to. The weights of a UNet are left to `late`, if it is given,
    where they are copied on a CPU.

    Raises ModelError for a broken model or one of another kind, BadSetting for a device that does
    not exist, and torch's own error when memory runs out.
    """
    read = compute_model_signature(info)
    if info.path.is_file():
        return _load_file(info, device, precision, offload_mode, read, shared, late)
    index = read_index(info.path)
    weights = find_weights(info.path, index.libraries)
    check_pickles(weights)
    require_packages(info.path, index.libraries)
    placement = replace(
        choose_placement(device, precision, count_parameters(weights)),
        offload_mode=offload_mode,
        quantize=info.quantize,
    )
    with raise_load_errors(info):
        pipe = _from_folder(info.path, index, weights, placement, late=late)
        _configure(info, pipe, placement)
    digest = hash_weights_in_background(weights)
    return LoadedModel(info, pipe, placement, digest, read, late=late or LateWeights())


def check_pickles(weights: WeightFiles) -> None:
    """Scan every pickle among the files before one is read. The libraries refuse pickles that run
    code too, but do not say where they are, or advise to load them anyway.

    Raises ModelError for one that would run code, or is truncated.
    """
    for path in weights.files:
        if path.suffix.lower() != ".safetensors":
            require_safe(path)


def _load_file(
    info: ModelInfo,
    device: str,
    precision: str,
    offload_mode: str,
    read: Stamps,
    shared: SharedEncoders | None,
    late: LateWeights | None,
) -> LoadedModel:
    from dream.engine.loading.single_file import load_file  # imports much
    from dream.engine.loading.split_model import load_split_model

    weights = list_weight_files(info)
    placement = replace(
        choose_placement(device, precision, count_used_parameters(info)),
        offload_mode=offload_mode,
        quantize=info.quantize,
    )
    with raise_load_errors(info):
        if detect(info.path).lone_unet:
            pipe = _load_over_base(info, placement)
        elif detect(info.path).wanted:
            pipe = load_split_model(info, placement, SharedEncoders() if shared is None else shared)
        else:
            pipe = load_file(info.path, placement, ema=info.ema, late=late)
        _configure(info, pipe, placement)
    digest = hash_weights_in_background(weights)
    return LoadedModel(info, pipe, placement, digest, read, late=late or LateWeights())


def _load_over_base(info: ModelInfo, placement: Placement) -> Any:
    """The pipeline of a base model with the UNet of another file."""
    from dream.engine.loading.lone_unet import load_unet, read_folder_config, use_prediction_of
    from dream.engine.loading.single_file import load_file

    if info.missing or not info.parts:
        raise ModelError(f"{info.path} lacks {(*info.missing, 'its base model')[0]}")
    base = info.parts[0].path
    if base.is_file():
        pipe = load_file(base, placement, make_unet=partial(load_unet, info.path, placement))
    else:
        index = read_index(base)
        weights = find_weights(base, index.libraries)
        check_pickles(weights)
        require_packages(base, index.libraries)
        unet = load_unet(info.path, placement, read_folder_config(base))
        pipe = _from_folder(base, index, weights, placement, {"unet": unet})
    return use_prediction_of(info.path, pipe)


def _from_folder(
    folder: Path,
    index: Index,
    weights: WeightFiles,
    placement: Placement,
    other_parts: Mapping[str, Any] = MappingProxyType({}),
    late: LateWeights | None = None,
) -> Any:
    """The pipeline of a folder; `other_parts` take the place of its own."""
    with ThreadPoolExecutor(1, "tokenizers") as pool:  # beside the weights, which wait for memory
        words = {
            name: pool.submit(load_tokenizer, kind, folder / name)
            for name, (library, kind) in index.parts.items()
            if name.startswith("tokenizer") and library == "transformers"
        }
        own = {name: index.parts[name] for name in index.parts if name not in other_parts}
        read = dict(_known_parts(folder, own, weights, placement, late)) | dict(other_parts)
        read |= {name: loading.result() for name, loading in words.items()}
    kind = _pipeline_class(index)
    takes = signature(kind.__init__).parameters
    without: dict[str, Any] = dict.fromkeys(name for name in index.absent if name in takes)
    pipe = kind.from_pretrained(
        folder,
        dtype=placement.dtype,
        variant=weights.variant,
        use_safetensors=weights.is_safe or None,
        local_files_only=True,
        **without,
        **read,
    )
    for name, part in pipe.components.items():
        if isinstance(part, torch.nn.Module) and name not in read:
            quantize_loaded(part, placement)
            part.to(placement.storage_device)
            flat = all(tensor.ndim <= 4 for tensor in part.parameters())
            if placement.device == "cpu" and name in ("unet", "vae") and flat:
                part.to(memory_format=torch.channels_last)  # see `weight_copy.allocate_for`
    return pipe


def _known_parts(
    folder: Path,
    parts: Parts,
    weights: WeightFiles,
    placement: Placement,
    late: LateWeights | None,
) -> Iterator[tuple[str, Any]]:
    """The components that do not need `from_pretrained`, by name."""
    for name, (library, kind) in parts.items():
        files = tuple(path for path in weights.files if path.parent == folder / name)
        if files and WeightFiles(files).is_safe and has_fast_loader(library, kind, folder / name):
            own = late if name == "unet" else None
            yield name, load_component(library, kind, folder / name, files, placement, own)


def _pipeline_class(index: Index) -> Any:
    """The class that generates from a prompt alone. AutoPipelineForText2Image knows few
    image-to-image classes, does not tell which components its choice takes, and imports all of
    diffusers: it is the last resort."""
    if index.refines:
        from dream.engine.loading.refiner import RefinerPipeline

        return RefinerPipeline
    family = find_pipeline_family(index.pipeline)
    if family and (editor := find_editor_of_pipeline(family.key, index.pipeline)):
        return getattr(diffusers, f"{editor.pipeline}Pipeline")
    if family and index.pipeline in {f"{row.pipeline}Pipeline" for row in family.wide}:
        return getattr(diffusers, index.pipeline)
    plain = re.sub("(Img2Img|Inpaint|Depth2Img)(?=Pipeline$)", "", index.pipeline)
    if plain != index.pipeline and hasattr(diffusers, plain):
        return getattr(diffusers, plain)
    named = getattr(diffusers, index.pipeline)
    if index.pipeline == UPSCALER:  # never used to generate from a prompt alone
        return named
    takes = signature(named.__call__).parameters
    if "prompt" in takes and "image" not in takes:
        return named
    return diffusers.AutoPipelineForText2Image


def _configure(info: ModelInfo, pipe: Any, placement: Placement) -> None:
    if info.prediction and "prediction_type" in pipe.scheduler.config:
        pipe.scheduler.register_to_config(prediction_type=info.prediction)
    if info.family == "kolors":  # its pipeline fails without negative words where this is true
        pipe.register_to_config(force_zeros_for_empty_prompt=False)
    add_empty_conditioning(pipe)
    if getattr(pipe, "processor", None) is not None:
        from dream.engine.loading.qwen_processor import place_images  # imports much

        place_images(pipe, info.name)
    pipe.set_progress_bar_config(disable=True)
    if placement.device.startswith("cuda"):
        torch.backends.cudnn.deterministic = True  # same line, same pixels
    offload(pipe, placement.offload_mode, placement.device)


def require_unchanged(loaded: LoadedModel) -> None:
    """Raises ModelError where a file was overwritten that is mapped, or was read later than the
    others: its image has mixed weights."""
    now = compute_model_signature(loaded.info)
    is_read = loaded.late.was_added or count_mapped_bytes([loaded.pipe])
    if is_read and is_overwritten(loaded.file_signature, now):
        raise ModelError(
            f"the files of {loaded.info.name} were overwritten while the image was generated",
            "run the line again; the model will be loaded again",
        )
