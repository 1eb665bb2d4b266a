"""EmbeddingInfo: what an embedding's header says about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dream.catalogue.detect import read_header

_WIDTHS = {768: "sd1", 1024: "sd2", 1280: "sdxl"}
_BOTH = ("clip_g", "text_encoders_1")
"""Names of the vectors for SDXL's second text encoder."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingInfo:
    """An embedding on disk."""

    name: str
    path: Path
    family: str = ""
    """"sd1", "sd2" or "sdxl"; empty if unknown."""
    vectors: int = 0
    """How many tokens of the prompt it takes; 0 if unknown."""


def read_embedding_info(name: str, path: Path) -> EmbeddingInfo:
    """Read a header; of an embedding in an image, nothing. Raises ModelError for a file that cannot
    be read."""
    if path.suffix.lower() in (".png", ".webp"):
        return EmbeddingInfo(name=name, path=path)
    tensors = read_header(path).tensors
    shapes = [tensor.shape for tensor in tensors.values() if tensor.shape]
    if not shapes:
        return EmbeddingInfo(name=name, path=path)
    both = any(key in tensors for key in _BOTH)
    family = "sdxl" if both else _WIDTHS.get(shapes[0][-1], "")
    return EmbeddingInfo(
        name=name, path=path, family=family, vectors=shapes[0][0] if len(shapes[0]) > 1 else 1
    )
