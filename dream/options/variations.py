"""Option types for variations and for the axes of --seamless_axes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dream.options.option_type import MAX_SEED, OptionType, choice, format_number


class Variation(NamedTuple):
    """The noise of another seed, and its weight."""

    seed: int
    """0 to 2**32 - 1."""
    weight: float
    """0 (not at all) to 1 (all the way)."""


Variations = tuple[Variation, ...]


def _read_variations(words: Sequence[str]) -> Variations:
    """`42:0.1,7:0.25`; also, as in InvokeAI's manual, `42,0.1;7,0.25` and `42,0.1,7,0.25`."""
    numbers = re.split("[,;:]", words[0])
    marks = "".join(re.findall("[,;:]", words[0]))
    if not re.fullmatch(":(,:)*|,(;,)*|,(,,)*", marks):
        raise ValueError
    return tuple(_variation(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))


def _variation(seed: str, weight: str) -> Variation:
    value = Variation(int(seed), float(weight))
    if not (0 <= value.seed <= MAX_SEED and 0 <= value.weight <= 1):
        raise ValueError
    return value


def _write_variations(value: Iterable[Variation]) -> list[str]:
    return [",".join(f"{seed}:{format_number(weight)}" for seed, weight in value)]


VARIATIONS: OptionType[Variations] = OptionType(
    "SEED:WEIGHT,…",
    "seeds, each with a weight from 0 to 1, such as 42:0.1,7:0.25",
    _read_variations,
    _write_variations,
)

AXES: OptionType[str] = choice(
    "x,y", "x", "y", metavar="AXES", aliases={"y,x": "x,y", "xy": "x,y", "yx": "x,y"}
)
