"""Finds models in the models folders by their file names.

Of folders in diffusers layout, the pipeline class is read too. A models folder can also be one of
the AUTOMATIC1111 web UI (or the `models` in it), the hub's cache, or the folder that tutorials of
2022 linked `model.ckpt` into.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from dream.catalogue.invokeai_folders import get_listed_name, get_shown_name
from dream.catalogue.layouts import CHECKPOINTS, DENOISERS, FOLDERS, list_folders
from dream.catalogue.walk_files import is_file, list_matches
from dream.core.bounded_reading import read_bounded, read_json

INDEX = "model_index.json"
"""The file that makes a folder a model."""

TRANSFORMERS_INDEX = "config.json"
"""The file that makes a folder a model in transformers' format."""

UPSCALER = "StableDiffusionUpscalePipeline"
"""The pipeline class of a diffusion upscaler."""

FILES = (".safetensors", ".sft", ".gguf", ".ckpt")
"""Suffixes of single-file models; .sft is Black Forest Labs' for .safetensors."""

MODEL_FILES = (*FILES, ".gguf")
"""The same, in folders that hold nothing but models."""

_HUB = ("", "hub/")
"""Where the hub's cache is in a models folder: the folder itself, or in `~/.cache/huggingface`."""
_SNAPSHOTS = "models--*/snapshots"

_LINKED = "ldm/*/model.ckpt"

_MAX_REF_BYTES = 1000
"""Maximum bytes of a file with a commit hash."""
_MAX_DEPTH, _MAX_MODELS = 8, 1000
"""How many levels a folder is searched, and after how many models the search stops."""


def find_models(dirs: Sequence[Path]) -> dict[str, Path]:
    """Folders and single files by name. If two have the same name, the one in the first models
    folder is used, and a folder before a file; other programs' folders in one models folder can
    have several, and each has a name."""
    paths: dict[str, Path] = {}
    for models in dirs:
        own: dict[str, Path] = {}
        for index in list_matches(models, f"*/{INDEX}"):
            if not is_diffusion_upscaler(index.parent):
                own.setdefault(get_shown_name(index.parent), index.parent)
        for path in list_with_suffix(models, "*", FILES):
            own.setdefault(path.stem, path)
        for name, path in _in_layout_folders(models):
            _add_installed(own, name, path)
        for path in list_matches(models, _LINKED):
            own.setdefault(path.parent.name, path)
        for name, path in _in_hub_cache(models):
            own.setdefault(name, path)
        for name, path in own.items():
            paths.setdefault(name, path)
    return paths


def _in_layout_folders(models: Path) -> Iterator[tuple[str, Path]]:
    """The models in the folders that other programs keep them in, by name."""
    for kind in (CHECKPOINTS, DENOISERS):
        for folder in list_folders(kind, (models,)):
            for index in sorted((folder / INDEX, *list_matches(folder, f"*/{INDEX}"))):
                if index.is_file() and not is_diffusion_upscaler(index.parent):
                    yield get_shown_name(index.parent), index.parent
            for path in list_with_suffix(folder, "**/*", MODEL_FILES):
                if not (path.parent / TRANSFORMERS_INDEX).is_file():
                    yield get_listed_name(path) or path.stem, path


def _add_installed(paths: dict[str, Path], name: str, path: Path) -> None:
    """InvokeAI can have one name for several models, of different families; ComfyUI's subfolders
    one for files in different number formats. A file that is linked twice is one model, as is a
    .ckpt beside its .safetensors."""
    taken = paths.get(name)
    if taken is not None and taken != path:
        if name not in (path.stem, path.name):
            name = f"{name} ({path.stem})"
        elif any(_is_same(other, path) for other in paths.values() if other.stem == path.stem):
            return
        else:
            longer = f"{path.parent.name}-{name}"
            names = (path.name, longer) if taken.parent == path.parent else (longer, path.name)
            name = next((free for free in names if free not in paths), str(path))
    paths.setdefault(name, path)


def _is_same(one: Path, other: Path) -> bool:
    """Whether both are one file, or the second a .ckpt of the first."""
    if other.suffix.lower() == ".ckpt" and one.parent == other.parent:
        return True
    try:
        return one.samefile(other)
    except OSError:
        return False


def model_places() -> tuple[str, ...]:
    """Glob patterns, relative to a models folder, of all files and folders that can be models."""
    return ("*", *(f"{name}/**/*" for name in FOLDERS[CHECKPOINTS]), _LINKED, f"{_SNAPSHOTS}/*/*")


def in_hub_cache(path: Path) -> bool:
    """Whether a model's folder or file is in the hub's cache, which other programs share."""
    return any(part.startswith("models--") for part in path.parts) and "snapshots" in path.parts


def _in_hub_cache(models: Path) -> Iterator[tuple[str, Path]]:
    """The models in the hub's cache by name; see `list_snapshots`."""
    for name, folder in list_snapshots(models):
        if (folder / INDEX).is_file():
            if not is_diffusion_upscaler(folder):
                yield name, folder
        # A part of a model has its configuration beside it.
        elif not (folder / TRANSFORMERS_INDEX).is_file():
            for path in list_with_suffix(folder, "*", FILES):
                yield path.stem, path


def list_snapshots(models: Path) -> Iterator[tuple[str, Path]]:
    """The current `models--owner--name/snapshots/COMMIT` of every repository in a hub cache, called
    `name`, or `owner--name` if that name is already used. `models` can also be such a folder
    itself."""
    repos = [path for place in _HUB for path in list_matches(models, f"{place}{_SNAPSHOTS}")]
    if models.name.startswith("models--") and (models / "snapshots").is_dir():
        repos.append(models / "snapshots")
    seen: set[str] = set()
    for snapshots in repos:
        owner_and_name = snapshots.parent.name.removeprefix("models--")
        folder = _current_snapshot(snapshots)
        if folder is None:
            continue
        short = owner_and_name.partition("--")[2]
        name = owner_and_name if short in seen else short
        seen.add(name)
        yield name, folder


def _current_snapshot(snapshots: Path) -> Path | None:
    """The snapshot that the branch `main` points to, else the newest, else None."""
    commit = ""
    with suppress(OSError, ValueError):
        commit = (
            read_bounded(snapshots.parent / "refs" / "main", _MAX_REF_BYTES).decode("ascii").strip()
        )
    with suppress(OSError):
        folders = [path for path in snapshots.iterdir() if path.is_dir()]
        return max(folders, key=lambda it: (it.name == commit, it.stat().st_mtime_ns), default=None)
    return None


def find_recursive(folder: Path) -> dict[str, Path]:
    """Models at any depth of an arbitrary folder, by name. If two have the same name, the second
    gets its folder's name as a prefix; a file called “model” gets its folder's name instead.
    Components of models are not included."""
    paths: dict[str, Path] = {}
    for path in _search_folder(folder, _MAX_DEPTH):
        if len(paths) == _MAX_MODELS:
            break
        name = path.name if path.is_dir() else path.stem
        if name == "model" and path.parent != folder:
            name = path.parent.name
        longer = "-".join(path.relative_to(folder).with_name(name).parts)
        names = (name, f"{path.parent.name}-{name}", longer)
        paths.setdefault(next((name for name in names if name not in paths), longer), path)
    return paths


def _search_folder(folder: Path, depth: int) -> Iterator[Path]:
    """Models in the folder itself come first; of files that differ only in suffix, one is used."""
    part = is_file(folder / TRANSFORMERS_INDEX)
    files = {} if part else {path.stem: path for path in list_with_suffix(folder, "*", FILES[::-1])}
    yield from sorted(files.values())
    with suppress(OSError):  # a folder without read permission
        for inner in sorted(folder.iterdir()):
            if inner.name.startswith(".") or inner.is_symlink() or not inner.is_dir():
                continue
            if not is_file(inner / INDEX):
                yield from _search_folder(inner, depth - 1) if depth else ()
            elif not is_diffusion_upscaler(inner):
                yield inner


def normalize_path(path: Path) -> Path:
    """The absolute path, without `..` if that is the same file; links are not resolved."""
    absolute = path.absolute()
    normalized = Path(os.path.normpath(absolute))
    with suppress(OSError):
        return normalized if normalized.samefile(absolute) else absolute
    return absolute


def get_variant(file: str) -> str:
    """`fp16` in model.fp16.safetensors and in model.fp16-00001-of-00002.safetensors; usually
    empty."""
    words = file.split(".")[1:-1]
    return words[0].split("-")[0] if words else ""


def is_diffusion_upscaler(folder: Path) -> bool:
    """Whether a folder in diffusers layout is an upscaler, not a model that generates images."""
    try:
        index = read_json(folder / INDEX)
        return isinstance(index, dict) and index.get("_class_name") == UPSCALER
    except (OSError, ValueError):
        return False


def list_with_suffix(folder: Path, pattern: str, suffixes: Sequence[str]) -> Iterator[Path]:
    """Files with these suffixes, in the order of the suffixes, so safetensors come first."""
    paths = [path for path in list_matches(folder, pattern) if path.suffix.lower() in suffixes]
    for path in sorted(paths, key=lambda path: (suffixes.index(path.suffix.lower()), path)):
        if not path.name.startswith(".") and is_file(path):
            yield path
