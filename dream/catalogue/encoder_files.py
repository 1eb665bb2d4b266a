"""Finds text encoders by name, for --text_encoder and `text_encoder` in models.toml."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dream.catalogue.companions import describe_encoder, find_companions, list_weight_files
from dream.catalogue.detect import detect
from dream.catalogue.detect.model_kinds import describe_kind
from dream.catalogue.detect.pieces import VAE
from dream.catalogue.layouts import TEXT_ENCODERS, list_folders
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.suggest import suggest_names
from dream.catalogue.vision_towers import needs_vision
from dream.core.errors import ModelError

_VISION_TOWER = "mmproj"
"""What the names of such files contain."""


def find_text_encoders(dirs: Sequence[Path]) -> dict[str, Path]:
    """The files in the folders for text encoders, by name; without the vision towers that
    llama.cpp's users have beside them."""
    files: dict[str, Path] = {}
    for folder in list_folders(TEXT_ENCODERS, dirs):
        for file in list_weight_files(folder):
            if _VISION_TOWER not in file.stem.lower():
                files.setdefault(file.stem, file)
    return files


def find_text_encoder(name_or_path: str, dirs: Sequence[Path]) -> Path:
    """The file of that name, with or without its suffix, or at that path, unread. Raises ModelError
    with similar names."""
    files = find_text_encoders(dirs)
    for name, file in files.items():
        if name_or_path in (name, file.name):
            return file
    with suppress(OSError, RuntimeError, ValueError):  # not a valid path
        if (path := Path(name_or_path).expanduser()).is_file():
            return path.absolute()
    raise ModelError(
        f'there is no text encoder "{name_or_path}" in {", ".join(map(str, dirs))}',
        suggest_names(name_or_path, files) or "put it into text_encoders/ in a models folder",
    )


def use_text_encoder(info: ModelInfo, name_or_path: str, dirs: Sequence[Path]) -> ModelInfo:
    """A model in several files with the text encoder of that name or path.

    Raises ModelError for a file that is missing or does not fit, and for a model whose text
    encoders cannot be replaced.
    """
    detected = detect(info.path) if info.path.is_file() else None
    encoders = [one for one in detected.wanted if one.role != VAE] if detected else []
    if detected is None or not encoders:
        raise ModelError(
            f"the text encoder of {info.name} cannot be replaced",
            "--text_encoder is for models in several files; remove it",
        )
    path = find_text_encoder(name_or_path, dirs)
    file = detect(path)
    for wanted in encoders:
        for piece in file.pieces:
            if wanted.is_met_by(piece):
                found = find_companions(detected, dirs, str(path), sees=needs_vision(info))
                parts = (
                    replace(part, path=path, prefix=piece.prefix)
                    if part.part == wanted.part
                    else part
                    for part in found.parts
                )
                return replace(info, parts=tuple(parts), missing=found.missing)
    what = file.called or describe_kind(file.kind)
    fits = " or ".join(f"a text encoder ({describe_encoder(one)})" for one in encoders)
    raise ModelError(f"{path.name} is {what}, but {info.name} needs {fits}")
