"""torch's pickles, walked: which tensors they hold, and what they would run. Nothing is imported
and nothing runs, see `machine`; the weights are read later, by torch.load(weights_only=True)."""

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
    "walk",
    "weights_in",
]

T = TypeVar("T")

PICKLE_LIMIT = 4 << 20
"""Bytes; the pickle of SDXL has one million."""

NESTS = ("state_dict", "params_ema", "params-ema", "params", "model")
"""Names under which the weights lie deeper."""
MAX_NESTING = 4
"""How deep they may lie: a dictionary may hold itself."""


@dataclass
class PickleScan:
    """What was met on the way."""

    tensors: dict[str, TensorHeader] = field(default_factory=dict)
    storages: dict[str, TensorHeader] = field(default_factory=dict)
    """Runs of numbers that tensors are views of, by their keys."""
    names: frozenset[str] = frozenset()
    """Of the outermost dictionary."""
    code: tuple[str, ...] = ()
    failed: str = ""


def read_zip(path: Path, size: int) -> PickleScan:
    """The pickle of a file of torch 1.6 and later, a zip of `*/data.pkl` and one entry for each
    storage. Raises OSError, ValueError for a zip that is cut short, or has none."""
    with open_regular(path) as file:
        return walk(read_pickle(file, size, PICKLE_LIMIT), before=0)


def read_legacy(path: Path) -> PickleScan:
    """The pickles of a file of torch before 1.6: magic number, version, machine, the weights.
    Raises OSError."""
    with open_regular(path) as file:
        return walk(file.read(PICKLE_LIMIT), before=3)


def walk(data: bytes, before: int) -> PickleScan:
    """What the pickle at the beginning of `data` holds, after as many others as `before` says."""
    machine = PickleMachine(data, STEPS)
    met = PickleScan(storages=machine.storages)
    collects = gc.isenabled()
    gc.disable()  # a process full of objects would be gone through for every few that are made here
    try:
        for _ in range(before):
            machine.run()
        whole = machine.run()
        if type(whole) is dict:
            met.names = frozenset(name for name in whole if isinstance(name, str))
            met.tensors = weights_in(whole, TensorHeader)
    except BadPickle as error:
        met.failed = str(error)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error):
        met.failed = "its pickle is broken"
    finally:
        if collects:
            gc.enable()
    met.code = tuple(machine.code)
    return met


def weights_in(table: Mapping[Any, Any], kind: type[T], depth: int = MAX_NESTING) -> dict[str, T]:
    """The tensors, which are of that kind, in the dictionary that holds the weights. Where it holds
    none itself, those of what lies in it, by both names: IP-Adapters and hypernetworks are such."""
    for nest in NESTS if depth else ():
        if isinstance(inner := table.get(nest), dict) and inner:
            return weights_in(inner, kind, depth - 1)
    if isinstance(inner := table.get("string_to_param"), dict):
        return {f"string_to_param.{n}": row for n, row in weights_in(inner, kind, 0).items()}
    found = {str(name): row for name, row in table.items() if isinstance(row, kind)}
    return found or dict(_inner(table, kind, depth, set()))


def _inner(
    table: Mapping[Any, Any], kind: type[T], depth: int, seen: set[int]
) -> Iterator[tuple[str, T]]:
    """Each dictionary, list and tuple is looked into once."""
    if id(table) in seen:
        return
    seen.add(id(table))
    for name, row in table.items():
        if isinstance(row, kind):
            yield str(name), row
        elif isinstance(row, dict | list | tuple) and depth:
            rows = row if isinstance(row, dict) else _numbered(row, seen)
            yield from (
                (f"{name}.{inner}", found) for inner, found in _inner(rows, kind, depth - 1, seen)
            )


def _numbered(row: Any, seen: set[int]) -> dict[Any, Any]:
    if id(row) in seen:
        return {}
    seen.add(id(row))
    return dict(enumerate(row))
