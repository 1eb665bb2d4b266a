"""Option types for outpainting, embiggen and watermarks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from dream.options.option_type import OptionType, format_number

SIDES = ("top", "right", "bottom", "left")
MAX_EXTENSION = 4096
"""Maximum pixels added on one side."""
MAX_TILES = 256
OUTPAINT_STRENGTH = 0.5
"""The default strength of outpainting, and the largest at which the image is continued. Above it,
the prompt is generated in the new part, again in each window that does not show it yet."""


class Outcrop(NamedTuple):
    """Pixels added on each side, 0 to 4096; at least one is more than 0."""

    top: int = 0
    right: int = 0
    bottom: int = 0
    left: int = 0


class Shift(NamedTuple):
    """A frame of the same size, moved over the image."""

    side: str
    """The side on which a new part is generated: one of SIDES."""
    pixels: int | None = None
    """1 to 4096; None is half of the image."""


class Embiggen(NamedTuple):
    """Upscaling, followed by refining in tiles."""

    scale: float
    """1 to 16; at 1 it is only refined."""
    strength: float = 0.75
    """Share of the upscaler's image against a plain resize, 0 to 1."""
    overlap: float = 0.25
    """Of neighbouring tiles: below 1 a share of their size, from 1 on pixels."""


def _pixels(word: str) -> int:
    value = int(word)
    if not 1 <= value <= MAX_EXTENSION:
        raise ValueError
    return value


def _read_outcrop(words: Sequence[str]) -> Outcrop:
    sides, counts = words[::2], words[1::2]
    if len(sides) != len(counts) or not set(sides) <= set(SIDES) or len(set(sides)) < len(sides):
        raise ValueError
    return Outcrop(**dict(zip(sides, map(_pixels, counts), strict=True)))


def _write_outcrop(value: Outcrop) -> list[str]:
    return [
        word
        for side, pixels in zip(SIDES, value, strict=True)
        if pixels
        for word in (side, str(pixels))
    ]


OUTCROP: OptionType[Outcrop] = OptionType(
    "SIDE N …",
    f"sides ({' '.join(SIDES)}), each with a number of pixels from 1 to {MAX_EXTENSION}",
    _read_outcrop,
    _write_outcrop,
    nargs=(2, 2 * len(SIDES)),
)


def _read_shift(words: Sequence[str]) -> Shift:
    if words[0] not in SIDES:
        raise ValueError
    return Shift(words[0], *map(_pixels, words[1:]))


SHIFT: OptionType[Shift] = OptionType(
    "SIDE [N]",
    f"a side ({' '.join(SIDES)}) and optionally a number of pixels from 1 to {MAX_EXTENSION}",
    _read_shift,
    lambda value: [str(part) for part in value if part is not None],
    nargs=(1, 2),
)


def _read_embiggen(words: Sequence[str]) -> Embiggen:
    value = Embiggen(*map(float, words))
    pixels = value.overlap >= 1
    if not (1 <= value.scale <= 16 and 0 <= value.strength <= 1):
        raise ValueError
    if not (value.overlap.is_integer() and value.overlap <= MAX_EXTENSION if pixels else True):
        raise ValueError
    if not (pixels or 0 <= value.overlap <= 0.75):
        raise ValueError
    return value


EMBIGGEN: OptionType[Embiggen] = OptionType(
    "X [STRENGTH [OVERLAP]]",
    "a scale from 1 to 16 and optionally the upscaler's strength from 0 to 1, and the tiles'"
    " overlap: a share up to 0.75, or pixels",
    _read_embiggen,
    lambda value: list(map(format_number, value)),
    nargs=(1, 3),
)


def _read_tiles(words: Sequence[str]) -> tuple[int, ...]:
    tiles = tuple(map(int, words))
    if min(tiles) < 1 or any(a >= b for a, b in pairwise(sorted(tiles))):
        raise ValueError
    return tuple(sorted(tiles))


TILES: OptionType[tuple[int, ...]] = OptionType(
    "N …",
    "tile numbers, from 1, row by row",
    _read_tiles,
    lambda value: list(map(str, value)),
    nargs=(1, MAX_TILES),
)


MAX_WATERMARK_BYTES = 64
"""Maximum bytes of a watermark's text in UTF-8."""


def _read_watermark(words: Sequence[str]) -> str:
    text = words[0]
    if not text.isprintable() or not 1 <= len(text.encode()) <= MAX_WATERMARK_BYTES:
        raise ValueError
    return text


WATERMARK: OptionType[str] = OptionType(
    "TEXT",
    f"1 to {MAX_WATERMARK_BYTES} bytes of printable text; a 256x256 image holds 19",
    _read_watermark,
    lambda value: [value],
)
