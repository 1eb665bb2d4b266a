"""Finds control models: ControlNets, control-LoRAs and T2I-Adapters, in the models folders.

A models folder can be dream's, or that of ComfyUI, AUTOMATIC1111's or Forge's web UI, SwarmUI or
InvokeAI, or the hub's cache.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from dream.catalogue.control_info import (
    ControlInfo,
    fits,
    is_control_file,
    is_control_folder,
    read_control_info,
)
from dream.catalogue.detect import detect
from dream.catalogue.detect.control_family import CONTROL_FILE_KINDS
from dream.catalogue.detect.lora_family import describe_family
from dream.catalogue.detect.unet_header import UNKNOWN_WIDTHS, UNetWidths
from dream.catalogue.discovery import TRANSFORMERS_INDEX, list_snapshots
from dream.catalogue.layouts import CONTROLNETS, list_folders
from dream.catalogue.suggest import suggest_names
from dream.catalogue.walk_files import walk_files
from dream.core.errors import ModelError

CONTROL_SUFFIXES = (".safetensors", ".sft", ".pth", ".pt", ".ckpt", ".bin")
_MAX_DEPTH, _MAX_FILES = 6, 2000
_OF_FOLDER = re.compile(r"diffusion_pytorch_model(\.\w+)?(-\d+-of-\d+)?")
"""Stems of the weights that belong to a folder in diffusers layout."""
_LISTED = 12
"""How many control models an error lists."""


def find_control_models(dirs: Sequence[Path]) -> dict[str, Path]:
    """Files and folders that may be control models, by name, unread: those in the folders for them,
    and what lies in a models folder itself and is one."""
    paths: dict[str, Path] = {}
    for models in dirs:
        for folder in list_folders(CONTROLNETS, (models,)):
            for path in _in_folder(folder):
                name = path.name if path.is_dir() else path.stem
                if name in paths:
                    if paths[name].parent == path.parent:
                        continue  # the same in two formats; safetensors come first
                    name = path.relative_to(folder).with_suffix("").as_posix()
                paths.setdefault(name, path)
        for path in _in_models_folder(models):
            paths.setdefault(path.name if path.is_dir() else path.stem, path)
        for name, path in list_snapshots(models):
            if is_control_folder(path):
                paths.setdefault(name, path)
    return dict(sorted(paths.items(), key=lambda item: item[0].casefold()))


def list_controls(dirs: Sequence[Path]) -> Iterator[ControlInfo | ModelError]:
    """Every control model, sorted by name; an error for a file that cannot be read. Files of other
    kinds in these folders (an IP-Adapter, a preprocessor) are left out."""
    for name, path in find_control_models(dirs).items():
        try:
            if path.is_dir() or detect(path).kind in CONTROL_FILE_KINDS:
                yield read_control_info(name, path)
        except ModelError as error:
            yield error


def get_control(name_or_path: str, dirs: Sequence[Path]) -> ControlInfo:
    """The control model of that name, or at that path. Raises ModelError with similar names, or
    with what the file is instead."""
    paths = find_control_models(dirs)
    stem = name_or_path
    if Path(stem).suffix.lower() in CONTROL_SUFFIXES:
        stem = Path(stem).with_suffix("").name
    for name, path in paths.items():
        if name.casefold() in (name_or_path.casefold(), stem.casefold()):
            return read_control_info(name, path)
    with suppress(OSError, RuntimeError, ValueError):  # not a valid path
        path = Path(name_or_path).expanduser().absolute()
        if path.exists():
            return read_control_info(name_or_path, path)
    raise ModelError(
        f'there is no control model "{name_or_path}" in {", ".join(map(str, dirs))}',
        suggest_names(stem, paths) or "put it into controlnet/ in a models folder",
    )


def find_control(
    control: str,
    family: str,
    name: str | None,
    dirs: Sequence[Path],
    widths: UNetWidths = UNKNOWN_WIDTHS,
) -> ControlInfo:
    """The control model for a kind of control image (a key of CONTROL_KINDS) and a model of a
    family, whose UNet has these widths: the one of that name or path, else the best one in the
    models folders.

    A ControlNet is preferred to a union, that to a control-LoRA and that to a T2I-Adapter. Raises
    ModelError where none fits, with those that there are.
    """
    if name:
        info = get_control(name, dirs)
        if not fits(info, family):
            raise ModelError(
                f"{info.name} is {info.title}, and the model is {describe_family(family)}",
                _describe_choice(control, family, dirs, widths),
            )
        if not fits(info, family, widths):
            raise ModelError(
                f"{info.name} is {info.title} {info.widths.describe_difference(widths)}",
                _describe_choice(control, family, dirs, widths),
            )
        return info
    infos = [info for info in list_controls(dirs) if isinstance(info, ControlInfo)]
    suitable = [info for info in infos if control in info.controls and fits(info, family, widths)]
    if not suitable:
        raise ModelError(
            f"there is no control model for {control} and {describe_family(family)}",
            _describe_choice(control, family, dirs, widths),
        )
    return min(suitable, key=lambda info: _rank(info, widths))


def _rank(info: ControlInfo, widths: UNetWidths) -> tuple[object, ...]:
    """The best first: of known family or of the model's text width, of the more specific kind, v1.1
    before v1.0, by name."""
    return (
        not info.family and (not widths.text or info.widths.text != widths.text),
        CONTROL_FILE_KINDS.index(info.kind),
        len(info.controls),
        "v11" not in info.name,
        len(info.name),
        info.name,
    )


def _describe_choice(control: str, family: str, dirs: Sequence[Path], widths: UNetWidths) -> str:
    """What there is for this family, and what to do."""
    infos = [info for info in list_controls(dirs) if isinstance(info, ControlInfo)]
    named = [
        f"{info.name} ({', '.join(info.controls) or 'kind unknown'})"
        for info in infos
        if fits(info, family, widths)
    ]
    advice = f"put one for {control} into controlnet/ in a models folder"
    if not named:
        others = sorted(
            {
                describe_family(info.family) if info.family else "models of other sizes"
                for info in infos
                if info.family or not info.widths.fits(widths)
            }
        )
        there = f"those in the models folders are for {', '.join(others)}; " if others else ""
        return there + advice
    more = " …" if len(named) > _LISTED else ""
    listed = ", ".join(named[:_LISTED]) + more
    return f"available: {listed}; choose one with --control_model, or {advice}"


def _in_folder(folder: Path) -> Iterator[Path]:
    """Folders in diffusers layout, then files, at any depth: safetensors first."""
    files: list[Path] = []
    for count, path in enumerate(walk_files(folder, _MAX_DEPTH)):
        if count == _MAX_FILES:
            break
        if path.name == TRANSFORMERS_INDEX and is_control_folder(path.parent):
            yield path.parent
        elif path.suffix.lower() in CONTROL_SUFFIXES and not _belongs_to_folder(path):
            files.append(path)
    order = CONTROL_SUFFIXES.index
    yield from sorted(files, key=lambda path: (order(path.suffix.lower()), path.as_posix()))


def _belongs_to_folder(path: Path) -> bool:
    """Whether a file is the weights of the folder in diffusers layout that it is in."""
    return bool(_OF_FOLDER.fullmatch(path.stem)) and (path.parent / TRANSFORMERS_INDEX).is_file()


def _in_models_folder(models: Path) -> Iterator[Path]:
    """What lies in a models folder itself: folders, and files."""
    for path in walk_files(models, 1):
        if path.parent != models:
            if path.name == TRANSFORMERS_INDEX and is_control_folder(path.parent):
                yield path.parent
        elif path.suffix.lower() in CONTROL_SUFFIXES and is_control_file(path):
            yield path
