"""Finds the vision tower of a text encoder that llama.cpp's users have in another file
(`mmproj-….gguf`), for the models that edit what they see."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dream.catalogue.detect import detect, read_header
from dream.catalogue.model_info import VISION, ModelInfo, PartFile
from dream.core.errors import ModelError
from dream.options.editors import find_editor

SEEING_KIND = "qwen2.5-vl"
"""The kind of text encoder that edits with its eyes."""
_TOWER = "vision encoder"
_LAST = "mm.2.weight"
"""The tower's last layer, as wide as the text encoder."""


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
    start = encoder.prefix
    places = (f"{start}visual.", f"{start}model.visual.")
    return any(name.startswith(places) for name in read_header(encoder.path).tensors)


def _read_width(file: Path) -> int:
    """Of what a tower makes of an image; 0 for another file."""
    try:
        if file.suffix.lower() != ".gguf" or detect(file).kind != _TOWER:
            return 0
        last = read_header(file).tensors.get(_LAST)
    except ModelError:  # torn, hostile or of another kind
        return 0
    return last.shape[0] if last is not None and last.shape else 0
