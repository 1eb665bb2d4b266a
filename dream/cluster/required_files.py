"""What a task needs from the models folders, by content: two machines that have the same render the
same image."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dream.catalogue import ModelRegistry
from dream.catalogue.adapter_files import EMBEDDING, HYPERNET, LORA, AdapterKind
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.control_files import get_control
from dream.catalogue.discovery import INDEX
from dream.catalogue.encoder_files import find_text_encoder
from dream.catalogue.face_models import find_face_model
from dream.catalogue.model_info import BASE
from dream.catalogue.taesd import require_decoder_file
from dream.catalogue.weight_files import WeightFiles, find_weights, hash_network, hash_weight_files
from dream.core.bounded_reading import open_regular, read_json
from dream.core.errors import ModelError
from dream.core.recipe import Recipe
from dream.core.request import NO_VAE
from dream.worker.protocol import CountTokensTask, FinishTask, RenderTask, Task, get_model

_SHOWN = 10
"""Digits of a hash in an error."""

_CONFIGURATIONS = (".json", ".txt", ".model")
"""Endings of the files that a component's folder has besides its weights."""
_CONFIGURATION_LIMIT = 1 << 25
"""Bytes; the largest are vocabularies."""
_IGNORED = ("safety_checker", "feature_extractor", "depth_estimator")
"""Components that change no image, or are not loaded."""


class RequiredFile(NamedTuple):
    """A model, or another network, by name."""

    kind: str
    """A key of _HASHERS."""
    name: str

    def __str__(self) -> str:
        return f"the {self.kind} {self.name}"


def get_recipe(task: Task) -> Recipe | None:
    """The recipe of a task that has one."""
    match task:
        case RenderTask(recipe) | CountTokensTask(recipe):
            return recipe
        case FinishTask(picture):
            return picture.recipe
    return None


def list_required_files(task: Task) -> tuple[RequiredFile, ...]:
    """Everything that a task may read from the models folders."""
    return tuple(dict.fromkeys(_list_required(task)))


def hash_required_files(
    registry: ModelRegistry, files: Iterable[RequiredFile]
) -> dict[RequiredFile, str]:
    """The SHA-256 of each; empty for one that would be downloaded. Takes seconds where files were
    never hashed before. Raises ModelError for what is missing or cannot be read."""
    try:
        return {file: _HASHERS[file.kind](registry, file.name) for file in files}
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror or error}") from error


def find_difference(
    here: Mapping[RequiredFile, str], there: Mapping[RequiredFile, str], node: str
) -> tuple[RequiredFile, str] | None:
    """The first file that differs between this machine and a node, and how that reads to people;
    None if there is none."""
    for file, ours in here.items():
        theirs = there.get(file, "")
        if ours and theirs and ours != theirs:
            return file, f"{file} on {node} is {theirs[:_SHOWN]}, here it is {ours[:_SHOWN]}"
    return None


class ExpectedFiles:
    """What this machine has, hashed once for all workers. For any thread."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._known: dict[RequiredFile, str] = {}

    def get(self, files: Iterable[RequiredFile]) -> dict[RequiredFile, str]:
        """See `hash_required_files`. Raises ModelError."""
        with self._lock:
            unknown = [file for file in files if file not in self._known]
            self._known |= hash_required_files(self._registry, unknown)
            return {file: self._known[file] for file in files}

    def forget(self) -> None:
        """Hash all again when they are needed: they may have been replaced."""
        with self._lock:
            self._known.clear()


# ── which ──────────────────────────────────────────────────────────────────────────────────────


def _list_required(task: Task) -> Iterator[RequiredFile]:
    if (model := get_model(task)) is not None:
        yield RequiredFile("model", model)
        yield RequiredFile("configuration of", model)
    if (recipe := get_recipe(task)) is None:
        return
    if recipe.vae and recipe.vae != NO_VAE:
        yield RequiredFile("VAE", recipe.vae)
    if recipe.text_encoder:
        yield RequiredFile("text encoder", recipe.text_encoder)
    if recipe.decoder:
        yield RequiredFile("small decoder of", recipe.model)
    names = {
        LORA: [lora.name for lora in recipe.lora or ()],
        EMBEDDING: recipe.embedding or (),
        HYPERNET: [net.name for net in recipe.hypernet or ()],
    }
    for kind, used in names.items():
        yield from (RequiredFile(kind.called, name) for name in used)
    yield from (RequiredFile("control model", name) for name in recipe.control_model or ())
    if isinstance(task, FinishTask):
        if recipe.facetool:
            yield RequiredFile("face model", recipe.facetool)
        if recipe.upscaler:
            yield RequiredFile("upscaler", recipe.upscaler)


# ── their hashes ───────────────────────────────────────────────────────────────────────────────


def _hash_model(registry: ModelRegistry, name: str) -> str:
    """Of all weight files of a model, in a folder or in files."""
    info = registry.get_model(name)
    if not info.path.is_file():
        return hash_weight_files(_find_folder_weights(info.path))
    files = [info.path]
    for part in info.parts:
        if part.part == BASE and not part.path.is_file():
            files += _find_folder_weights(part.path, without="unet").files
        elif not part.part.startswith("tokenizer"):
            files.append(part.path)
    return hash_weight_files(WeightFiles(tuple(dict.fromkeys(files)), ema=info.ema))


def _find_folder_weights(folder: Path, without: str = "") -> WeightFiles:
    """The weight files of the components in model_index.json."""
    try:
        rows = read_json(folder / INDEX).items()
        parts = {
            name: row[0]
            for name, row in rows
            if isinstance(row, list) and row and isinstance(row[0], str) and name != without
        }
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{folder / INDEX} cannot be read") from error
    return find_weights(folder, {n: parts[n] for n in parts if (folder / n).is_dir()})


def _hash_configuration(registry: ModelRegistry, name: str) -> str:
    """Of what a folder in diffusers layout says besides its weights, and of the model's prediction:
    with another scheduler or tokenizer, the same weights make another image."""
    info = registry.get_model(name)
    result = hashlib.sha256(info.prediction.encode())
    if info.path.is_dir():
        files = (path for path in info.path.glob("*/*") if path.name.endswith(_CONFIGURATIONS))
        for path in sorted(files, key=lambda path: path.relative_to(info.path).parts):
            if not path.name.endswith(".index.json") and path.parent.name not in _IGNORED:
                result.update(f"\n{path.parent.name}/{path.name}\n".encode())
                result.update(_read_configuration(path))
    return result.hexdigest()


def _read_configuration(path: Path) -> bytes:
    """The content of a file, of JSON only the values: how it is laid out, and the version and
    folder it was saved with, change no image."""
    if path.suffix == ".json":
        with suppress(ValueError):
            content = read_json(path, _CONFIGURATION_LIMIT)
            if isinstance(content, dict):
                content = {key: content[key] for key in content if key[:1] != "_"}
            return json.dumps(content, sort_keys=True).encode()
    with open_regular(path) as file:
        return file.read(_CONFIGURATION_LIMIT)


def _hash_vae(registry: ModelRegistry, name: str) -> str:
    return hash_network(registry.get_vae(name))


def _hash_text_encoder(registry: ModelRegistry, name: str) -> str:
    return hash_network(find_text_encoder(name, registry.models_dirs))


def _hash_decoder(registry: ModelRegistry, name: str) -> str:
    return hash_network(require_decoder_file(registry.get_model(name), registry.models_dirs))


def _hash_control_model(registry: ModelRegistry, name: str) -> str:
    return hash_network(get_control(name, registry.models_dirs).path)


def _hash_face_model(registry: ModelRegistry, name: str) -> str:
    face = find_face_model(name, registry.models_dirs, offline=registry.offline)
    return hash_network(face.path) if face.path.is_file() else ""


def _hash_upscaler(registry: ModelRegistry, name: str) -> str:
    path = registry.get_upscaler(name).path
    if path.is_dir():
        return hash_weight_files(_find_folder_weights(path))
    return hash_network(path) if path.is_file() else ""


def _adapter_hasher(kind: AdapterKind) -> Callable[[ModelRegistry, str], str]:
    return lambda registry, name: hash_network(AdapterRegistry.of(registry).get(kind, name))


_HASHERS: Mapping[str, Callable[[ModelRegistry, str], str]] = {
    "model": _hash_model,
    "configuration of": _hash_configuration,
    "VAE": _hash_vae,
    "text encoder": _hash_text_encoder,
    "small decoder of": _hash_decoder,
    **{kind.called: _adapter_hasher(kind) for kind in (LORA, EMBEDDING, HYPERNET)},
    "control model": _hash_control_model,
    "face model": _hash_face_model,
    "upscaler": _hash_upscaler,
}
