"""Compares what a task needs from the models folders between two machines, by content."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.catalogue.adapter_files import EMBEDDING, HYPERNET, LORA, AdapterKind
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.auxiliary import AUXILIARY_MODELS, DEPTH, AuxiliaryModel, find_auxiliary
from dream.catalogue.control_files import get_control
from dream.catalogue.discovery import INDEX
from dream.catalogue.encoder_files import find_text_encoder
from dream.catalogue.face_models import find_face_detector, find_face_model
from dream.catalogue.image_prompt_files import find_image_encoder, get_image_prompt_model
from dream.catalogue.model_info import BASE, ModelInfo
from dream.catalogue.taesd import require_decoder_file
from dream.catalogue.weight_files import WeightFiles, find_weights, hash_network, hash_weight_files
from dream.cluster.required_files import RequiredFile
from dream.core.bounded_reading import open_regular, read_json
from dream.core.errors import ModelError

_SHOWN = 10
"""Digits of a hash in an error."""

_CONFIGURATIONS = (".json", ".txt", ".model")
"""Endings of the files that a component's folder has besides its weights."""
_CONFIGURATION_LIMIT = 1 << 25
"""Bytes; the largest are vocabularies."""
_IGNORED = ("safety_checker", "feature_extractor", "depth_estimator")
"""Components that are not loaded, or are compared by themselves."""


def hash_required_files(
    registry: ModelRegistry, files: Iterable[RequiredFile]
) -> dict[RequiredFile, str]:
    """The SHA-256 of each; empty for one that would be downloaded. Takes seconds where files were
    never hashed before. Raises ModelError for what is missing or cannot be read."""
    try:
        return {file: HASHERS[file.kind](registry, file.name) for file in files}
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
    """Of what is said about a model besides its weights, by its folder, its tokenizers or
    models.toml: with another scheduler or tokenizer, the same weights make another image."""
    info = registry.get_model(name)
    result = hashlib.sha256(repr(_get_settings(info)).encode())
    if info.path.is_dir():
        _add_configuration(result, info.path, "*/*")
    for part in info.parts:
        result.update(f"\n{part.part}\n".encode())
        if part.part == BASE and part.path.is_dir():
            _add_configuration(result, part.path, "*/*", "unet")
        elif part.part.startswith("tokenizer"):
            _add_configuration(result, part.path, "*")
    return result.hexdigest()


def _get_settings(info: ModelInfo) -> tuple[object, ...]:
    """The values of a model that change its images and are in no Recipe."""
    return info.family, info.variant, info.edits, info.prediction, info.scheduler, info.ema


def _add_configuration(result: hashlib._Hash, folder: Path, pattern: str, *without: str) -> None:
    """The names and contents of the files in a folder that are no weights; or of a file."""
    if folder.is_file():
        result.update(_read_configuration(folder))
        return
    names = {path.relative_to(folder): path for path in folder.glob(pattern) if path.is_file()}
    for name in sorted(names, key=lambda name: name.parts):
        is_text = name.name.endswith(_CONFIGURATIONS) and not name.name.endswith(".index.json")
        if is_text and not {*name.parts[:-1]} & {*_IGNORED, *without}:
            result.update(f"\n{name.as_posix()}\n".encode())
            result.update(_read_configuration(names[name]))


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


def _hash_component(path: Path, library: str = "diffusers") -> str:
    """Of a network in a file, or in a folder with its configuration."""
    if not path.is_dir():
        return hash_network(path)
    weights = hash_weight_files(find_weights(path.parent, {path.name: library}))
    result = hashlib.sha256(weights.encode())
    _add_configuration(result, path, "*")
    return result.hexdigest()


def _hash_vae(registry: ModelRegistry, name: str) -> str:
    return _hash_component(registry.get_vae(name))


def _hash_text_encoder(registry: ModelRegistry, name: str) -> str:
    return _hash_component(find_text_encoder(name, registry.models_dirs))


def _hash_decoder(registry: ModelRegistry, name: str) -> str:
    info = registry.get_model(name)
    return _hash_component(require_decoder_file(info, registry.models_dirs))


def _hash_control_model(registry: ModelRegistry, name: str) -> str:
    return _hash_component(get_control(name, registry.models_dirs).path)


def _hash_image_prompt_model(registry: ModelRegistry, name: str) -> str:
    return hash_network(get_image_prompt_model(name, registry.models_dirs).path)


def _hash_image_encoder(registry: ModelRegistry, name: str) -> str:
    """Of the encoder that an IP-Adapter is used with."""
    model = get_image_prompt_model(name, registry.models_dirs)
    path = find_image_encoder(model.encoder_width, model.reads_layers, registry.models_dirs)
    return hash_network(path) if path else ""


def _hash_vision_model(registry: ModelRegistry, name: str) -> str:
    network = next(one for one in AUXILIARY_MODELS if one.name == name)
    return _hash_auxiliary(registry, network)


def _hash_auxiliary(registry: ModelRegistry, network: AuxiliaryModel) -> str:
    path = find_auxiliary(network, registry.models_dirs)
    return _hash_component(path, "transformers") if path else ""


def _hash_depth_estimator(registry: ModelRegistry, name: str) -> str:
    """Of the one in a depth model's folder, or of the one that is used with it; empty for other
    models."""
    info = registry.get_model(name)
    own = info.path / "depth_estimator"
    if own.is_dir():
        return _hash_component(own, "transformers")
    return _hash_auxiliary(registry, DEPTH) if info.variant == "depth" else ""


def _hash_face_model(registry: ModelRegistry, name: str) -> str:
    face = find_face_model(name, registry.models_dirs, offline=registry.offline)
    return hash_network(face.path) if face.is_on_disk else ""


def _hash_face_detector(registry: ModelRegistry, name: str) -> str:
    found = find_face_detector(registry.models_dirs, offline=registry.offline)
    return hash_network(found.path) if found.is_on_disk else ""


def _hash_upscaler(registry: ModelRegistry, name: str) -> str:
    path = registry.get_upscaler(name).path
    if path.is_dir():
        result = hashlib.sha256(hash_weight_files(_find_folder_weights(path)).encode())
        _add_configuration(result, path, "*/*")
        return result.hexdigest()
    return hash_network(path) if path.is_file() else ""


def _adapter_hasher(kind: AdapterKind) -> Callable[[ModelRegistry, str], str]:
    return lambda registry, name: hash_network(AdapterRegistry.of(registry).get(kind, name))


HASHERS: Mapping[str, Callable[[ModelRegistry, str], str]] = {
    "model": _hash_model,
    "configuration of": _hash_configuration,
    "depth estimator of": _hash_depth_estimator,
    "VAE": _hash_vae,
    "text encoder": _hash_text_encoder,
    "small decoder of": _hash_decoder,
    **{kind.called: _adapter_hasher(kind) for kind in (LORA, EMBEDDING, HYPERNET)},
    "control model": _hash_control_model,
    "IP-Adapter": _hash_image_prompt_model,
    "image encoder of": _hash_image_encoder,
    "vision model": _hash_vision_model,
    "face model": _hash_face_model,
    "face detector": _hash_face_detector,
    "upscaler": _hash_upscaler,
}
"""By the kind of a RequiredFile: its SHA-256, or empty where it is not there yet. They raise
ModelError, OSError."""
