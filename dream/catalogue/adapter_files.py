"""Finds the files of LoRAs, embeddings and hypernetworks in the models folders and in folders of
their own, by name.

A models folder can be dream's, or that of the AUTOMATIC1111 web UI, ComfyUI or InvokeAI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dream.catalogue.invokeai_folders import get_listed_name
from dream.catalogue.layouts import EMBEDDINGS, LORAS, list_folders
from dream.catalogue.walk_files import walk_files

_SUFFIXES = (".safetensors", ".pt", ".ckpt", ".bin", ".pth")
_MAX_FILES = 10_000
"""After how many files the search of one folder stops."""
_MAX_DEPTH = 8

_NAMED_BY_FOLDER = ("pytorch_lora_weights", "adapter_model", "learned_embeds", "lora")
"""Stems that many files have: their folder's name is used."""


@dataclass(frozen=True)
class AdapterKind:
    """A kind of adapter: what it is called, and where its files are."""

    key: str
    """"lora", "embedding" or "hypernet": what completion asks for."""
    called: str
    places: tuple[str, ...]
    """Folders in a models folder, or beside it."""
    suffixes: tuple[str, ...] = _SUFFIXES
    layout: str = ""
    """The kind of these folders in other programs' layouts: see `layouts.FOLDERS`."""


LORA = AdapterKind(
    "lora",
    "LoRA",
    (
        *("loras", "lora", "Lora", "LyCORIS", "models/Lora", "models/LyCORIS", "models/loras"),
        *("sd-1/lora", "sd-2/lora", "sdxl/lora", "sd-3/lora", "flux/lora"),
    ),
    layout=LORAS,
)
EMBEDDING = AdapterKind(
    "embedding",
    "embedding",
    (
        *("embeddings", "models/embeddings", "../embeddings"),
        *("sd-1/embedding", "sd-2/embedding", "sdxl/embedding"),
    ),
    (*_SUFFIXES, ".png", ".webp"),
    EMBEDDINGS,
)
HYPERNET = AdapterKind(
    "hypernet", "hypernetwork", ("hypernetworks", "models/hypernetworks"), (".pt", ".safetensors")
)

ADAPTER_KINDS = {kind.key: kind for kind in (LORA, EMBEDDING, HYPERNET)}
"""By key."""


def find_adapters(
    kind: AdapterKind, models_dirs: Sequence[Path], own_dirs: Sequence[Path]
) -> dict[str, Path]:
    """The files by name: the stem, or the path in the folder without suffix if another file has
    that stem already. Folders of their own come first, then those in the models folders."""
    paths: dict[str, Path] = {}
    seen: set[Path] = set()
    folders = [*own_dirs, *(models / place for models in models_dirs for place in kind.places)]
    folders += list_folders(kind.layout, models_dirs) if kind.layout else ()
    for folder in folders:
        try:
            real = folder.resolve()
        except OSError:
            continue
        if real in seen:
            continue
        seen.add(real)
        for path in _files(folder, kind.suffixes):
            name = get_listed_name(path) or _name_of(path)
            if name in paths:
                if (
                    path.suffix.lower() != paths[name].suffix.lower()
                    and path.parent == paths[name].parent
                ):
                    continue  # the same adapter in two formats; safetensors come first
                name = path.relative_to(folder).with_suffix("").as_posix()
            paths.setdefault(name, path)
    return paths


def _name_of(path: Path) -> str:
    return path.parent.name if path.stem in _NAMED_BY_FOLDER else path.stem


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files in a folder and below, without hidden ones: safetensors first, then by path."""
    files: list[Path] = []
    for path in walk_files(folder, _MAX_DEPTH):
        if path.suffix.lower() in suffixes:
            files.append(path)
            if len(files) == _MAX_FILES:
                break
    return sorted(files, key=lambda path: (suffixes.index(path.suffix.lower()), path.as_posix()))
