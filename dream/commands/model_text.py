"""Names, families and sizes of models, as commands read and show them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine, DreamError
from dream.line import split_words
from dream.session import Session


def get_active_model(studio: Session) -> str:
    """The name of the model for lines that name none; empty when there is none at all."""
    try:
        return studio.shelf.get_model(studio.base.model or studio.shelf.get_default_model()).name
    except DreamError:
        return studio.base.model or ""


def parse_name(argument: str, command: str) -> str:
    """The name that follows a command; with spaces in it, in quotes or not. Raises BadLine."""
    said = [word.text for word in split_words(argument)]
    if not said:
        raise BadLine(f"{command} takes the name of a model, but nothing follows")
    return said[0] if len(said) == 1 else argument.strip()


def find_listed_name(shelf: ModelRegistry, name: str) -> str:
    """The name, if a models folder or models.toml has it. Raises ModelError with near names."""
    if name in shelf.find_paths():
        return name
    return shelf.get_model(name).name


def describe_family(card: ModelInfo) -> str:
    """Family and variant in words: “sd1 inpainting”, “sd1 ema”."""
    return " ".join(filter(None, (card.family, card.variant, "ema" if card.ema else "")))


def measure_bytes(path: Path) -> int:
    """Of a file, or of all in a folder; 0 for what cannot be read."""
    return sum(_bytes(file) for file in ([path] if path.is_file() else path.rglob("*")))


def _bytes(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size if file.is_file() else 0
    return 0


def format_bytes(size: int) -> str:
    """Bytes in words: 5.1 MB, 2.1 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
