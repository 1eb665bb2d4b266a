"""A model on disk, folder or single file, loaded: nothing from the network, no code from it."""

from __future__ import annotations

import os
import pickle
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import Any

import diffusers
import torch

from dream.catalogue.code_check import LIBRARIES, refuse_code, refuse_irregular
from dream.catalogue.detect import detect
from dream.catalogue.detect.model_kinds import require_safe
from dream.catalogue.discovery import UPSCALER
from dream.catalogue.model_info import ModelInfo
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError
from dream.engine.empty_conditioning import add_empty_conditioning
from dream.engine.loading.components import has_fast_loader, load_component, load_tokenizer
from dream.engine.loading.weight_files import (
    WeightFiles,
    count_parameters,
    find_weights,
    hash_weight_files,
)
from dream.engine.memory.device import NO_OFFLOAD, Placement, choose_placement
from dream.engine.memory.offload import offload

DIGEST_NICENESS = 10
"""Of the thread that computes a digest; 0 is everybody's, 19 the last in the row."""

SKIPPED_COMPONENTS = ("safety_checker", "image_encoder", "feature_extractor", "depth_estimator")
"""Optional components that take memory and have no part in painting from words."""

MODEL_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")
"""How the files end that are read of a folder in diffusers layout: all but its card, which is read
for each picture anyway, and what people write about it."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory."""

    card: ModelInfo
    pipe: Any
    """A text-to-image pipeline of diffusers."""
    placement: Placement
    digest: Future[str]
    """SHA-256 of the weights; computed beside the first picture, for it may take seconds."""
    file_signature: object
    """Of its files, from before they were read: see `stamp`."""
    derived_pipelines: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Other pipelines over the same weights, by what they do: see `tasks.shared`."""


def load_model(card: ModelInfo, device: str, precision: str, way: str = NO_OFFLOAD) -> LoadedModel:
    """Read a model into memory; `way` is how its weights come to the device, see `offload`.

    Raises ModelError for one that is broken or of another kind, BadSetting for a device that is
    not here, and torch's own error when memory runs out.
    """
    read = compute_file_signature(card.path)
    if card.path.is_file():
        return _load_file(card, device, precision, way, read)
    index = read_index(card.path)
    weights = find_weights(card.path, index.libraries)
    check_pickles(weights)
    placement = replace(
        choose_placement(device, precision, count_parameters(weights)), offload_mode=way
    )
    try:
        pipe = _from_folder(card.path, index, weights, placement)
        _configure(card, pipe, placement)
    except pickle.UnpicklingError as error:
        raise _refused(card.path) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise _broken(card, error) from error
    return LoadedModel(card, pipe, placement, _in_background(weights), read)


def check_pickles(weights: WeightFiles) -> None:
    """Walk every pickle among the files before one is read. The libraries refuse what runs code as
    well, but do not say where it is, or advise to load it all the same.

    Raises ModelError for one that would run code, or is cut short.
    """
    for path in weights.files:
        if path.suffix.lower() != ".safetensors":
            require_safe(path)


def compute_file_signature(path: Path) -> object:
    """Another one when what is read of a model or a VAE changes on the disk: its file and the .yaml
    beside it, or the files in its folder and in those of its parts. A millisecond, without a look
    into any."""
    files = [path, path.with_suffix(".yaml")]
    if path.is_dir():
        files = [
            file for file in (*path.glob("*"), *path.glob("*/*")) if file.suffix in MODEL_SUFFIXES
        ]
    return tuple((file, _seen(file)) for file in sorted(files))


def _seen(path: Path) -> tuple[int, ...] | None:
    """None for what is not there."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def _load_file(card: ModelInfo, device: str, precision: str, way: str, read: object) -> LoadedModel:
    from dream.engine.loading.single_file import (
        load_file,  # brings much with it that folders do not need
    )

    placement = replace(
        choose_placement(device, precision, detect(card.path).parameters), offload_mode=way
    )
    try:
        pipe = load_file(card.path, placement, ema=card.ema)
        _configure(card, pipe, placement)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _broken(card, error) from error
    weights = WeightFiles((card.path,), ema=card.ema)
    return LoadedModel(card, pipe, placement, _in_background(weights), read)


@dataclass(frozen=True)
class Index:
    """What model_index.json says."""

    pipeline: str
    parts: Mapping[str, tuple[str, str]]
    """Library and class of the components that are there and wanted, by name."""
    absent: tuple[str, ...]
    """Components it names that it does not have, or that we do without."""
    refines: bool = False
    """Whether it is SDXL's refiner."""

    @property
    def libraries(self) -> Mapping[str, str]:
        """Of the components, by name."""
        return {name: library for name, (library, _) in self.parts.items()}


def read_index(folder: Path) -> Index:
    """What model_index.json in a folder says. Raises ModelError."""
    try:
        said = read_json(folder / "model_index.json")
        pipeline = said["_class_name"]
        rows = {name: row for name, row in said.items() if isinstance(row, list)}
        absent = {
            name for name, row in rows.items() if row[0] is None or name in SKIPPED_COMPONENTS
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder / 'model_index.json'} cannot be read",
            "a model is a folder in diffusers layout",
        ) from error
    refuse_irregular(folder)
    refuse_code(folder, said)
    wanted = [name for name in rows if name not in absent]
    for name in wanted:
        if (library := rows[name][0]) not in LIBRARIES:
            raise ModelError(
                f"{folder}: its {name} would run code from {library}, which is not allowed"
            )
    if not isinstance(pipeline, str) or not hasattr(diffusers, pipeline):
        raise ModelError(
            f"{folder} needs a {pipeline}, which the installed diffusers does not have"
        )
    for name in wanted:
        _check_part(folder, name)
    refines = bool(said.get("requires_aesthetics_score"))
    parts = {name: (str(rows[name][0]), str(rows[name][1])) for name in wanted}
    return Index(pipeline, parts, tuple(absent), refines)


def _check_part(folder: Path, name: str) -> None:
    """A tokenizer without its vocabulary would load, and understand nothing."""
    part = folder / name
    vocabularies = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")
    if not part.is_dir():
        raise ModelError(f"{folder}: its {name} is missing", "copy the whole folder again")
    if name.startswith("tokenizer") and not any(any(part.glob(v)) for v in vocabularies):
        raise ModelError(f"{part} has no vocabulary", "copy the whole folder again")


def _from_folder(folder: Path, index: Index, weights: WeightFiles, placement: Placement) -> Any:
    with ThreadPoolExecutor(1, "tokenizers") as pool:  # beside the weights, which wait for memory
        words = {
            name: pool.submit(load_tokenizer, kind, folder / name)
            for name, (library, kind) in index.parts.items()
            if name.startswith("tokenizer") and library == "transformers"
        }
        read = dict(_known_parts(folder, index, weights, placement))
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
            part.to(placement.storage_device)
            flat = all(tensor.ndim <= 4 for tensor in part.parameters())
            if placement.device == "cpu" and name in ("unet", "vae") and flat:
                part.to(memory_format=torch.channels_last)  # see `placing.room_for`
    return pipe


def _known_parts(
    folder: Path, index: Index, weights: WeightFiles, placement: Placement
) -> Iterator[tuple[str, Any]]:
    """The parts that need not go through `from_pretrained`, by name."""
    for name, (library, kind) in index.parts.items():
        files = tuple(path for path in weights.files if path.parent == folder / name)
        if files and WeightFiles(files).is_safe and has_fast_loader(library, kind, folder / name):
            yield name, load_component(library, kind, folder / name, files, placement)


def _pipeline_class(index: Index) -> Any:
    """The class that paints from words alone.

    AutoPipelineForText2Image knows few image-to-image classes, does not say which components its
    choice takes, and its import brings all of diffusers with it: it is the last resort.
    """
    if index.refines:
        from dream.engine.loading.refiner import RefinerPipeline

        return RefinerPipeline
    plain = re.sub("(Img2Img|Inpaint|Depth2Img)(?=Pipeline$)", "", index.pipeline)
    if plain != index.pipeline and hasattr(diffusers, plain):
        return getattr(diffusers, plain)
    named = getattr(diffusers, index.pipeline)
    if index.pipeline == UPSCALER:  # it paints nothing from words alone, and is asked for nothing
        return named
    takes = signature(named.__call__).parameters
    if "prompt" in takes and "image" not in takes:
        return named
    return diffusers.AutoPipelineForText2Image


def _configure(card: ModelInfo, pipe: Any, placement: Placement) -> None:
    if card.prediction and "prediction_type" in pipe.scheduler.config:
        pipe.scheduler.register_to_config(prediction_type=card.prediction)
    add_empty_conditioning(pipe)
    pipe.set_progress_bar_config(disable=True)
    if placement.device.startswith("cuda"):
        torch.backends.cudnn.deterministic = True  # same line, same pixels
    offload(pipe, placement.offload_mode, placement.device)


def _in_background(weights: WeightFiles) -> Future[str]:
    pool = ThreadPoolExecutor(1, "weights-digest")
    try:
        return pool.submit(_digest, weights)
    finally:
        pool.shutdown(wait=False)


def _digest(weights: WeightFiles) -> str:
    """Behind the picture's own threads, where the system tells one thread from another."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), DIGEST_NICENESS)
    return hash_weight_files(weights)


def _refused(folder: Path) -> ModelError:
    """Of a pickle that torch refuses, and that nobody walked: a library may read other files of a
    folder than `find_weights` says."""
    return ModelError(
        f"{folder} is refused: a pickle in it would run code, or is truncated",
        "use a .safetensors version, or convert it on an isolated machine",
    )


def _broken(card: ModelInfo, error: Exception) -> ModelError:
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(f"{card.name} in {card.path} cannot be loaded: {said}")
