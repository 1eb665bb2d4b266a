"""Weights of four bits by bitsandbytes, in safetensors files: which tensors belong to one weight,
and its shape, which is in none of their shapes but in a JSON text beside it.

https://github.com/bitsandbytes-foundation/bitsandbytes: `QuantState.as_dict`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from dream.catalogue.detect.tensors import TensorHeader
from dream.core.bounded_reading import open_regular

STATE = ".quant_state.bitsandbytes__"
"""What follows a weight's name in that of the text; then comes the format, nf4 or fp4."""
FORMATS = ("nf4", "fp4")
DTYPE = "BNB4"
"""The data type of a header's row for such a weight."""
BLOCK = 64
"""Numbers with a common scale."""
_LIMIT = 2000
"""Maximum bytes of a text, and of texts that are read."""


class State(NamedTuple):
    """What the text of a weight says."""

    format: str
    shape: tuple[int, ...]
    nested_block: int
    """Scales with a common scale, where they are quantized too."""
    nested_offset: float


def parse_state(text: bytes) -> State:
    """Read a weight's text. Raises ValueError, TypeError, LookupError for one that is not valid."""
    table: dict[str, Any] = json.loads(text)
    shape = tuple(int(side) for side in table["shape"])
    state = State(
        str(table["quant_type"]),
        shape,
        int(table.get("nested_blocksize", 1)),
        float(table.get("nested_offset", 0.0)),
    )
    if state.format not in FORMATS or table["blocksize"] != BLOCK or state.nested_block < 1:
        raise ValueError("bitsandbytes' configuration of this weight is not supported")
    if not 0 < len(shape) <= 4 or min(shape) < 1 or prod(shape) % BLOCK:
        raise ValueError("bitsandbytes' shape of this weight is not valid")
    return state


def read_states(path: Path, places: Mapping[str, tuple[int, int]]) -> dict[str, State]:
    """The texts of a file, by the names of their weights; `places` are their bytes in it, by their
    own names. Those that are not valid are left out."""
    states: dict[str, State] = {}
    with open_regular(path) as file:
        for name, (start, end) in islice(places.items(), _LIMIT):
            if 0 < end - start <= _LIMIT:
                file.seek(start)
                try:
                    states[name.partition(STATE)[0]] = parse_state(file.read(end - start))
                except (LookupError, RecursionError, TypeError, ValueError, OverflowError):
                    continue
    return states


def merge_parts(
    tensors: Mapping[str, TensorHeader], states: Mapping[str, State]
) -> dict[str, TensorHeader]:
    """The tensors, each such weight with its parts as one."""
    valid = {
        name: state
        for name, state in states.items()
        if name in tensors and 2 * prod(tensors[name].shape) == prod(state.shape)
    }
    merged = {name: row for name, row in tensors.items() if find_owner(name, valid) is None}
    return merged | {name: TensorHeader(DTYPE, state.shape) for name, state in valid.items()}


def find_owner(name: str, weights: Iterable[str]) -> str | None:
    """The weight that a tensor is a part of; None for another tensor."""
    owner = name.partition(".weight.")[0] + ".weight"
    return owner if name.startswith(f"{owner}.") and owner in weights else None
