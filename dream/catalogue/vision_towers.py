"""Finds the vision tower of a text encoder that llama.cpp's users have in another file
(`mmproj-….gguf`), for the models that edit what they see."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dream.catalogue.detect import detect
from dream.catalogue.detect.pieces import VISION_TOWER
from dream.catalogue.model_info import VISION, ModelInfo, PartFile
from dream.core.errors import ModelError
from dream.options.editors import find_editor

SEEING_KIND = "qwen2.5-vl"
"""The kind of text encoder that edits with its eyes."""


def needs_vision(info: ModelInfo) -> bool:
    """Whether a model's text encoder sees the images that it edits."""
    return info.family == "qwen-image" and find_editor(info.family, info.edits) is not None


def find_tower(encoder: PartFile, width: int, files: Iterable[Path]) -> PartFile | str:
    """The vision tower for a text encoder without one, among these files, one beside it first; else
    what is missing, and where to get it."""
    fitting = [file for file in files if _read_width(file) == width]
    beside = sorted(fitting, key=lambda file: (file.parent != encoder.path.parent, file.name))
    if beside:
        return PartFile(part=VISION, path=beside[0], kind=encoder.kind)
    return (
        f"the vision tower of {encoder.path.name}: put its mmproj file beside it, or use a text"
        " encoder with its vision: !import_model qwen-2.5-vl-7b (16.6 GB)"
    )


def can_see(encoder: PartFile) -> bool:
    """Whether a text encoder's file has its vision tower."""
    pieces = detect(encoder.path).pieces
    return any(piece.sees for piece in pieces if piece.prefix == encoder.prefix)


def _read_width(file: Path) -> int:
    """Of what a tower makes of an image, as wide as its text encoder; 0 for another file."""
    try:
        pieces = detect(file).pieces
    except ModelError:  # torn, hostile or of another kind
        return 0
    return next((piece.width for piece in pieces if piece.role == VISION_TOWER), 0)
