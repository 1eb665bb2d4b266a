"""Lists the tensors in torch's pickles, and the code that they would run.

Nothing is imported and nothing runs (see `pickle_machine`); the weights are read later, by
torch.load(weights_only=True)."""

from __future__ import annotations

import gc
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dream.catalogue.detect.pickle_machine import BadPickle, PickleMachine
from dream.catalogue.detect.pickle_names import IGNORED_GLOBALS, StubObject
from dream.catalogue.detect.pickle_steps import STEPS
from dream.catalogue.detect.tensors import TensorHeader
from dream.catalogue.detect.zip_files import read_pickle
from dream.core.bounded_reading import open_regular

__all__ = [
    "IGNORED_GLOBALS",
    "MAX_NESTING",
    "NESTS",
    "PickleScan",
    "StubObject",
    "read_legacy",
    "read_zip",
    "scan_pickle",
    "weights_in",
]

T = TypeVar("T")

PICKLE_LIMIT = 4 << 20
"""Maximum bytes; the pickle of SDXL has one million."""

NESTS = ("state_dict", "params_ema", "params-ema", "params", "model")
"""Keys under which the weights can be nested."""
MAX_NESTING = 4
"""Maximum depth of nesting: a dictionary may contain itself."""


@dataclass
class PickleScan:
    """The result of scanning a pickle."""

    tensors: dict[str, TensorHeader] = field(default_factory=dict)
    storages: dict[str, TensorHeader] = field(default_factory=dict)
    """The storages that tensors are views of, by key."""
    names: frozenset[str] = frozenset()
    """The keys of the outermost dictionary."""
    code: tuple[str, ...] = ()
    failed: str = ""


def read_zip(path: Path, size: int) -> PickleScan:
    """Scan a file of torch 1.6 or later, a zip of `*/data.pkl` and one entry for each storage.
    Raises OSError, and ValueError for a zip that is truncated or has no data.pkl."""
    with open_regular(path) as file:
        return scan_pickle(read_pickle(file, size, PICKLE_LIMIT), before=0)


def read_legacy(path: Path) -> PickleScan:
    """Scan a file of torch before 1.6, which has four pickles: magic number, version, machine, the
    weights. Raises OSError."""
    with open_regular(path) as file:
        return scan_pickle(file.read(PICKLE_LIMIT), before=3)


def scan_pickle(data: bytes, before: int) -> PickleScan:
    """Scan the pickle in `data` that follows `before` other pickles."""
    machine = PickleMachine(data, STEPS)
    scan = PickleScan(storages=machine.storages)
    gc_was_enabled = gc.isenabled()
    gc.disable()  # many objects are created, and each collection would visit the whole process
    try:
        for _ in range(before):
            machine.run()
        result = machine.run()
        if type(result) is dict:
            scan.names = frozenset(name for name in result if isinstance(name, str))
            scan.tensors = weights_in(result, TensorHeader)
    except BadPickle as error:
        scan.failed = str(error)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error):
        scan.failed = "its pickle is damaged"
    finally:
        if gc_was_enabled:
            gc.enable()
    scan.code = tuple(machine.code)
    return scan


def weights_in(table: Mapping[Any, Any], kind: type[T], depth: int = MAX_NESTING) -> dict[str, T]:
    """The objects of type `kind` (tensors) in the dictionary with the weights. If it has none
    itself, those of its values, with joined names: IP-Adapters and hypernetworks are nested like
    that."""
    for nest in NESTS if depth else ():
        if isinstance(inner := table.get(nest), dict) and inner:
            return weights_in(inner, kind, depth - 1)
    if isinstance(inner := table.get("string_to_param"), dict):
        return {f"string_to_param.{n}": row for n, row in weights_in(inner, kind, 0).items()}
    weights = {str(name): row for name, row in table.items() if isinstance(row, kind)}
    return weights or dict(_nested_weights(table, kind, depth, set()))


def _nested_weights(
    table: Mapping[Any, Any], kind: type[T], depth: int, seen: set[int]
) -> Iterator[tuple[str, T]]:
    """Search nested containers; each is visited once."""
    if id(table) in seen:
        return
    seen.add(id(table))
    for name, row in table.items():
        if isinstance(row, kind):
            yield str(name), row
        elif isinstance(row, dict | list | tuple) and depth:
            rows = row if isinstance(row, dict) else _enumerate(row, seen)
            yield from (
                (f"{name}.{inner}", weight)
                for inner, weight in _nested_weights(rows, kind, depth - 1, seen)
            )


def _enumerate(row: Any, seen: set[int]) -> dict[Any, Any]:
    if id(row) in seen:
        return {}
    seen.add(id(row))
    return dict(enumerate(row))
