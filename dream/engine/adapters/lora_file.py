"""Opens a LoRA's file and finds the place of each of its layers in a model, completely or not at
all."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.catalogue.detect import read_header
from dream.catalogue.detect.lora_family import describe_family, detect_lora_family
from dream.catalogue.detect.require import require_safe
from dream.core.bounded_reading import JSON_LIMIT, hash_regular, read_bounded
from dream.core.errors import ModelError
from dream.core.file_names import get_file_stamp
from dream.core.plain_text import shorten_name
from dream.engine.adapters.convert_names import convert_names, spell_as_kohya
from dream.engine.adapters.layer_names import Leaves, group_by_layer
from dream.engine.adapters.layer_places import Place, Places, flatten_name
from dream.engine.adapters.layer_shapes import UnsupportedLayer
from dream.engine.loading.checkpoint import open_tensors
from dream.engine.loading.load_errors import raise_file_errors

_EMBEDDED = re.compile(r"bundle_emb\..+")
"""OneTrainer puts the embeddings of a training into its LoRA's file; see `embeddings`."""
_SHOWN = 3
"""How many names of layers without a place a message shows."""

Layers = dict[str, tuple[Place, Leaves]]
"""The tensors for each layer, by `Place.key`."""


@dataclass(frozen=True)
class LoraFile:
    """A LoRA's file, open; its tensors stay on disk until they are used."""

    name: str
    """As the line has it."""
    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    stamp: object
    """Changes when the file does; see `get_file_stamp`."""
    digest: Future[str]
    """SHA-256 of the file, computed in the background."""


def open_lora(name: str, path: Path) -> LoraFile:
    """Open a file. Raises ModelError for one that is broken, or would run code."""
    stamp = get_file_stamp(path)
    detected = require_safe(path)
    return LoraFile(
        name=name,
        path=path,
        tensors=open_tensors(path, detected.format).tensors,
        metadata=read_header(path).metadata,
        stamp=stamp,
        digest=hash_in_background(path),
    )


def hash_in_background(path: Path) -> Future[str]:
    """The SHA-256 of a file's bytes, 64 hex digits; the result raises OSError."""
    pool = ThreadPoolExecutor(1, "adapter-digest")
    try:
        return pool.submit(hash_regular, path)
    finally:
        pool.shutdown(wait=False)


def find_layers(file: LoraFile, places: Places, pipeline: Any, model: str) -> Layers:
    """The file's tensors by the layers that they are for, by `Place.key`.

    pipeline: the model's pipeline, whose class knows other spellings of its family. Raises
    ModelError, with a count, if a tensor has no place in the model or its ending is not known.
    """
    own = {name: t for name, t in file.tensors.items() if not _EMBEDDED.fullmatch(name)}
    if not own:
        raise ModelError(f"{file.path} contains no layers of a LoRA")
    layers, missing = _match(own, places)
    for spelled in (own, spell_as_kohya(own)) if missing else ():
        converted = convert_names(spelled, pipeline)
        if missing and converted is not None:
            found = _match(converted.tensors | converted.left, places)
            layers, missing = min(found, (layers, missing), key=lambda both: len(both[1]))
    if missing:
        raise _no_place(file, missing, len(own), model)
    _add_alphas(layers, file)
    return {place.key: (place, leaves) for place, leaves in layers}


def _match(
    tensors: Mapping[str, Tensor], places: Places
) -> tuple[list[tuple[Place, Leaves]], list[str]]:
    """The layers in the order of `Place.key`, and the tensor names without a place."""
    groups, unknown = group_by_layer(tensors)
    missing = list(unknown)
    matched: dict[str, tuple[Place, Leaves]] = {}
    for layer, leaves in groups.items():
        place = places.get(flatten_name(layer))
        if place is None or (place.key in matched and leaves.keys() & matched[place.key][1].keys()):
            missing += [f"{layer} ({leaf})" for leaf in leaves]
        else:
            matched.setdefault(place.key, (place, {}))[1].update(leaves)
    return [matched[key] for key in sorted(matched)], missing


def _add_alphas(layers: Sequence[tuple[Place, Leaves]], file: LoraFile) -> None:
    """PEFT keeps alpha in the metadata, or in a file beside it: adapter_config.json, or in its
    examples for Stable Diffusion lora_config.json."""
    settings = _read_settings(file)
    if not settings:
        return
    for place, leaves in layers:
        if "down" not in leaves or "alpha" in leaves:
            continue
        alpha = _lookup(settings, "lora_alpha", "alpha_pattern", place)
        if alpha is None:
            continue
        rank = leaves["down"].shape[0] if leaves["down"].ndim else 1
        if _lookup(settings, "use_rslora", "", place):  # Kalajdzievski 2023, arXiv:2312.03732
            alpha *= math.sqrt(rank)
        leaves["alpha"] = torch.tensor(float(alpha))


def _read_settings(file: LoraFile) -> dict[str, Any]:
    text = file.metadata.get("lora_adapter_metadata", "")
    stem = file.path.stem
    try:
        if not text and stem == "adapter_model":
            text = _read_beside(file, "adapter_config.json")
        elif not text and re.search(r"(?:^|_)lora$", stem):
            text = _read_beside(file, f"{stem}_config.json")
        settings = json.loads(text) if text else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return _join_components(settings) if isinstance(settings, dict) else {}


def _read_beside(file: LoraFile, name: str) -> str:
    return read_bounded(file.path.with_name(name), JSON_LIMIT).decode("utf-8", "replace")


def _join_components(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings in one table; those of lora_config.json with the component before their names."""
    joined = dict(settings)
    for key, component in (("peft_config", "unet"), ("text_encoder_peft_config", "text_encoder")):
        table = joined.pop(key, None)
        if isinstance(table, dict) and isinstance(table.get("default"), dict):
            table = table["default"]
        for name, value in table.items() if isinstance(table, dict) else ():
            joined[f"{component}.{name}"] = value
    return joined


def _lookup(settings: Mapping[str, Any], name: str, pattern: str, place: Place) -> Any:
    """The value for a layer; diffusers prefixes names with the component."""
    prefix = (
        f"{place.component}."
        if any(key.startswith(f"{place.component}.") for key in settings)
        else ""
    )
    patterns = settings.get(f"{prefix}{pattern}") if pattern else None
    if isinstance(patterns, dict):
        for layer, value in patterns.items():
            if isinstance(value, int | float) and re.fullmatch(
                rf"(?:.*\.)?{re.escape(str(layer).removeprefix('^'))}", place.name
            ):
                return value
    value = settings.get(f"{prefix}{name}")
    return value if isinstance(value, int | float) else None


def _no_place(file: LoraFile, missing: Sequence[str], count: int, model: str) -> ModelError:
    shown = ", ".join(map(shorten_name, missing[:_SHOWN])) + (" …" if len(missing) > _SHOWN else "")
    family = detect_lora_family(read_header(file.path))
    hint = f"it seems to be for {describe_family(family)}" if family else "choose another LoRA"
    return ModelError(
        f"{file.name} does not fit {model}: {len(missing)} of its {count} tensors have no place in"
        f" it ({shown})",
        hint,
    )


@contextmanager
def raise_lora_errors(file: LoraFile, place: Place, model: str) -> Iterator[None]:
    """Convert what goes wrong with a layer's tensors into ModelError, with the file's name; but not
    that memory ran out."""
    with raise_file_errors(file.name, file.path):
        try:
            yield
        except UnsupportedLayer as error:
            raise _does_not_fit(file, place, error, model) from error


def _does_not_fit(file: LoraFile, place: Place, error: UnsupportedLayer, model: str) -> ModelError:
    """The error for a layer whose tensors have other shapes than the model's layer."""
    family = detect_lora_family(read_header(file.path))
    return ModelError(
        f"{file.name} does not fit {model}: at {place.key}, {error}",
        f"it seems to be for {describe_family(family)}" if family else "choose another LoRA",
    )
