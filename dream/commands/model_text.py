"""Parse and format the names, families and sizes of models for commands."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.catalogue.model_info import BASE, ModelInfo
from dream.core.errors import BadLine, DreamError
from dream.line import split_words
from dream.options.editors import find_editor
from dream.session import Session


def get_active_model(session: Session) -> str:
    """The name of the model for lines that do not name one; empty if there is no model."""
    try:
        return session.registry.get_model(
            session.base.model or session.registry.get_default_model()
        ).name
    except DreamError:
        return session.base.model or ""


def parse_name(argument: str, command: str) -> str:
    """Return the name after a command; quotes around spaces are optional. Raises BadLine."""
    words = [word.text for word in split_words(argument)]
    if not words:
        raise BadLine(f"{command} needs the name of a model")
    return words[0] if len(words) == 1 else argument.strip()


def find_listed_name(registry: ModelRegistry, name: str) -> str:
    """Return the name if a models folder or models.toml has it. Raises ModelError with similar
    names."""
    if name in registry.find_paths():
        return name
    return registry.get_model(name).name


def describe_family(info: ModelInfo) -> str:
    """Family, variant and number format as text: “sd1 inpainting”, “z-image fp8 scaled”."""
    ema = "ema" if info.ema else ""
    editor = find_editor(info.family, info.edits)
    edits = editor.key if editor else ""
    return " ".join(filter(None, (info.family, info.variant, edits, ema, info.number_format)))


def describe_details(info: ModelInfo) -> str:
    """The description; where defaults of a distilled model come from; and what it lacks."""
    source = f"{info.steps} steps by {info.defaults_from}" if info.defaults_from else ""
    edits = f"edits by {info.edits_from}" if info.references and info.edits_from else ""
    lacks = ", ".join(one.partition(": ")[0] for one in info.missing)
    over = "".join(f"over {part.name}" for part in info.parts if part.part == BASE)
    parts = (info.description, over, source, edits, f"lacks {lacks}" if lacks else "")
    return "; ".join(filter(None, parts))


def measure_model(info: ModelInfo) -> int:
    """Bytes of all files of a model, also of those in other folders."""
    return sum(map(measure_bytes, dict.fromkeys((info.path, *(part.path for part in info.parts)))))


def measure_bytes(path: Path) -> int:
    """The size of a file or of all files in a folder, in bytes; unreadable files count as 0."""
    return sum(_get_size(file) for file in ([path] if path.is_file() else path.rglob("*")))


def _get_size(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size if file.is_file() else 0
    return 0


def format_bytes(size: int) -> str:
    """Format bytes with a unit: 5.1 MB, 2.1 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
