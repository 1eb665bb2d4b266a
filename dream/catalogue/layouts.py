"""Where other programs keep the files of models: ComfyUI, AUTOMATIC1111's and Forge's web UI,
InvokeAI, SwarmUI. A models folder can be the folder of one of them, as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from dream.catalogue.invokeai_folders import list_installed
from dream.catalogue.walk_files import list_matches
from dream.core.bounded_reading import read_bounded

CHECKPOINTS, DENOISERS, TEXT_ENCODERS, VAES = "checkpoints", "denoisers", "text encoders", "vaes"
LORAS, CONTROLNETS, EMBEDDINGS, UPSCALERS = "loras", "controlnets", "embeddings", "upscalers"
TOKENIZERS, FACES = "tokenizers", "faces"
IP_ADAPTERS, CLIP_VISION = "IP-Adapters", "CLIP vision encoders"

FOLDERS: Mapping[str, tuple[str, ...]] = {
    CHECKPOINTS: ("checkpoints", "Stable-diffusion", "Stable-Diffusion"),
    DENOISERS: ("diffusion_models", "unet", "DiffusionModels"),
    TEXT_ENCODERS: ("text_encoders", "text_encoder", "clip", "CLIP", "TextEncoders"),
    VAES: ("vae", "VAE"),
    LORAS: ("loras", "lora", "Lora", "LyCORIS"),
    CONTROLNETS: (
        *("controlnet", "ControlNet", "controlnets", "control", "t2i_adapter", "T2IAdapter"),
        *("controlnet-lora", "control-lora", "extensions/sd-webui-controlnet/models"),
        "model_patches",
    ),
    EMBEDDINGS: ("embeddings", "Embeddings"),
    UPSCALERS: ("upscale_models", "ESRGAN", "RealESRGAN", "upscalers"),
    TOKENIZERS: ("tokenizers",),
    IP_ADAPTERS: ("ipadapter", "ip_adapter", "IpAdapter", "ip-adapter", "ipadapter-flux"),
    CLIP_VISION: ("clip_vision", "ClipVision", "image_encoder"),
    FACES: ("faces", "facerestore_models", "facedetection", "GFPGAN", "Codeformer"),
}
"""The names of folders, by what they hold."""

_ROOTS = ("", "models", "Models")
"""Where these folders are in a models folder: in itself, or in the `models` of a program's."""

_INVOKEAI: Mapping[str, tuple[str, ...]] = {
    CHECKPOINTS: ("*/main",),
    VAES: ("*/vae",),
    LORAS: ("*/lora",),
    CONTROLNETS: ("*/controlnet", "*/t2i_adapter", "*/control_lora"),
    IP_ADAPTERS: ("*/ip_adapter",),
    CLIP_VISION: ("any/clip_vision",),
    EMBEDDINGS: ("*/embedding",),
    TEXT_ENCODERS: ("any/*encoder",),
}
"""InvokeAI's folders, `models/sdxl/main`: patterns."""

_INVOKEAI_TYPES: Mapping[str, str] = {
    CHECKPOINTS: "main",
    VAES: "vae",
    LORAS: "lora|lycoris",
    CONTROLNETS: "controlnet|t2i_adapter|control_lora",
    IP_ADAPTERS: "ip_adapter",
    CLIP_VISION: "clip_vision",
    EMBEDDINGS: "embedding",
    TEXT_ENCODERS: r"\w*encoder|clip_embed",
}
"""InvokeAI's types, since version 6 has a folder for each model: patterns."""

_EXTRA_FILE = "extra_model_paths.yaml"
_EXTRA_KEYS: Mapping[str, tuple[str, ...]] = {
    CHECKPOINTS: ("checkpoints",),
    DENOISERS: ("diffusion_models", "unet"),
    TEXT_ENCODERS: ("text_encoders", "clip"),
    VAES: ("vae",),
    LORAS: ("loras",),
    CONTROLNETS: ("controlnet", "t2i_adapter", "model_patches"),
    EMBEDDINGS: ("embeddings",),
    UPSCALERS: ("upscale_models",),
    TOKENIZERS: (),
    FACES: ("facerestore_models", "facedetection"),
    IP_ADAPTERS: ("ipadapter",),
    CLIP_VISION: ("clip_vision",),
}
"""ComfyUI's keys in that file."""
_MAX_EXTRA_BYTES = 100_000


def list_folders(kind: str, dirs: Sequence[Path]) -> tuple[Path, ...]:
    """The folders that hold files of a kind (a key of FOLDERS) in these models folders, in their
    order; those that do not exist are left out."""
    places: dict[Path, None] = {}
    for models in dirs:
        for folder in _candidates(kind, models):
            with suppress(OSError):
                if folder.is_dir():
                    places.setdefault(_unique(folder), None)
    return tuple(places)


def find_program_folder(models: Path) -> Path:
    """Where new files belong in a models folder: in the `models` in it, if that is where a program
    has its files, as ComfyUI does; else in itself."""
    inner = models / "models"
    names = [name for kind in FOLDERS.values() for name in kind]
    here, there = (any((place / name).is_dir() for name in names) for place in (models, inner))
    return inner if there and not here else models


def _unique(folder: Path) -> Path:
    """Where names differ only in case, some systems have one folder under both."""
    with suppress(OSError):
        names = {entry.name for entry in folder.parent.iterdir()}
        if folder.name not in names:
            same = (name for name in names if name.casefold() == folder.name.casefold())
            return folder.with_name(next(same, folder.name))
    return folder


def _candidates(kind: str, models: Path) -> Iterator[Path]:
    for root in _ROOTS:
        for name in FOLDERS[kind]:
            yield models / root / name
        for pattern in _INVOKEAI.get(kind, ()):
            yield from list_matches(models / root, pattern)
        for installed in list_installed(models / root) if kind in _INVOKEAI_TYPES else ():
            if re.fullmatch(_INVOKEAI_TYPES[kind], installed.type):
                yield installed.folder
    for place in (models, models.parent):
        yield from _read_extra(place / _EXTRA_FILE, kind)


def _read_extra(file: Path, kind: str) -> tuple[Path, ...]:
    """The folders that ComfyUI's extra_model_paths.yaml names; none where it cannot be read."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return _parse_extra(file, kind, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _parse_extra(file: Path, kind: str, *stamps: int) -> tuple[Path, ...]:
    import yaml  # such files are rare

    try:
        sections = yaml.safe_load(read_bounded(file, _MAX_EXTRA_BYTES).decode("utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return ()
    folders: list[Path] = []
    for section in sections.values() if isinstance(sections, dict) else ():
        if isinstance(section, dict):
            folders += _section_folders(file, section, _EXTRA_KEYS[kind])
    return tuple(folders)


def _section_folders(file: Path, section: dict[Any, Any], keys: Sequence[str]) -> Iterator[Path]:
    """A key's value is a folder, or several, one on a line; relative to `base_path`, which is
    relative to the file's folder."""
    base = section.get("base_path", "")
    for key in keys:
        value = section.get(key)
        for line in value.splitlines() if isinstance(value, str) else ():
            if line.strip():
                with suppress(OSError, RuntimeError, ValueError):
                    start = file.parent / Path(str(base or "")).expanduser()
                    yield start / Path(line.strip()).expanduser()
