"""A line that asks for every combination of several values.

    a cat -C 5,7.5,10 -A k_euler,ddim        six pictures, each with a log line of its own

A `Request` has one value a field, always; a `Sweep` is the Requests that one line asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any, NamedTuple

from dream.core.errors import BadLine
from dream.core.request import FLAGS, Request
from dream.line.format import format_line_with_lists
from dream.line.parse import parse_fields
from dream.line.value_lists import MAX_VALUES, ValueList


class Axis(NamedTuple):
    """A swept field and its values, two or more."""

    field: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Sweep:
    """What a line asks for: `first`, and with axes every combination besides; the last axis
    changes with each Request, the first one slowest. Iterating gives the Requests."""

    first: Request
    axes: tuple[Axis, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What the line says and what is ignored, in a user's words."""

    def __iter__(self) -> Iterator[Request]:
        fields = [axis.field for axis in self.axes]
        for values in product(*(axis.values for axis in self.axes)):
            yield replace(self.first, **dict(zip(fields, values, strict=True)))

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has; last of all how many pictures each Request asks for,
        where that is more than one."""
        often = (self.first.iterations,) if self.first.iterations > 1 else ()
        return (*(len(axis.values) for axis in self.axes), *often)

    @property
    def count(self) -> int:
        """How many pictures."""
        return prod(self.shape)

    def __str__(self) -> str:
        names = [FLAGS[axis.field].names[0] for axis in self.axes] + ["-n"]
        factors = [f"{many} × {name}" for many, name in zip(self.shape, names, strict=False)]
        return f"{self.count:,} pictures: " + ", ".join(factors)


def parse_sweep(line: str, base: Request = Request()) -> Sweep:  # noqa: B008 - frozen
    """What a line asks for, lists and ranges of values included; else as `read`.

    Raises BadLine, with the column of the item that is wrong.
    """
    one: dict[str, Any] = {}
    several: dict[str, tuple[Any, ...]] = {}
    notes: list[str] = []
    for name, value in parse_fields(line, sweeps=True, note=notes.append):
        several.pop(name, None)  # said again, it is only the last that counts
        if isinstance(value, ValueList):
            several[name] = value.values
            value = value.values[0]
        one[name] = value
    axes = tuple(Axis(*axis) for axis in several.items())
    sweep = Sweep(replace(base, **one), axes, tuple(dict.fromkeys(notes)))
    if sweep.count > MAX_VALUES:
        raise BadLine(f"this line asks for {sweep}; {MAX_VALUES:,} are the most")
    return sweep


def format_sweep(sweep: Sweep, base: Request = Request()) -> str:  # noqa: B008 - frozen
    """The line that asks for this: `set(read_sweep(write_sweep(s, b), b)) == set(s)`; its axes
    stand in the table's order."""
    return format_line_with_lists(sweep.first, base, dict(sweep.axes))
