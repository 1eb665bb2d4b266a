"""A visible character for each byte, as tokenizers that read bytes write their vocabularies."""

from __future__ import annotations

_PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))


def list_byte_letters() -> list[str]:
    """256 characters in CLIP's order: those of the printable bytes first, then of the others."""
    return [*map(chr, _PRINTABLE), *map(chr, range(256, 256 + 256 - len(_PRINTABLE)))]


def map_bytes_to_letters() -> dict[int, str]:
    """The same, by byte."""
    others = (byte for byte in range(256) if byte not in _PRINTABLE)
    return dict(zip((*_PRINTABLE, *others), list_byte_letters(), strict=True))
