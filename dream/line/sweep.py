"""Sweeps: lines with lists of values, which generate every combination.

    a cat -C 5,7.5,10 -A k_euler,ddim        six images, each with its own log line

A `Request` always has one value per field; a `Sweep` is the Requests of one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from math import prod
from typing import Any, NamedTuple

from dream.core.errors import BadLine
from dream.core.request import FLAGS, Request
from dream.line.format import format_line_with_lists
from dream.line.parse import parse_fields
from dream.line.value_lists import MAX_VALUES, ValueList
from dream.options.syntax_table import OFF


class Axis(NamedTuple):
    """A field and its values, two or more."""

    field: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Words:
    """A prompt and a negative prompt that a template can become."""

    prompt: str
    negative: str


@dataclass(frozen=True)
class Sweep:
    """The requests of a line: `first`, or with axes every combination; the last axis changes
    fastest. Iterating gives the Requests."""

    first: Request
    axes: tuple[Axis, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Messages about what is ignored in the line."""
    words: tuple[Words, ...] = ()
    """With --combine what the template of `first` can become; it changes slowest."""

    def __iter__(self) -> Iterator[Request]:
        fields = [axis.field for axis in self.axes]
        for first in map(partial(_say, self.first), self.words) if self.words else (self.first,):
            for values in product(*(axis.values for axis in self.axes)):
                yield replace(first, **dict(zip(fields, values, strict=True)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of combinations of words, if any, and of values of each axis; last the number
        of images of each Request, if more than one."""
        words = (len(self.words),) if self.words else ()
        repeats = (self.first.iterations,) if self.first.iterations > 1 else ()
        return (*words, *(len(axis.values) for axis in self.axes), *repeats)

    @property
    def count(self) -> int:
        """The number of images."""
        return prod(self.shape)

    def __str__(self) -> str:
        names = ["--combine"] if self.words else []
        names += [*(FLAGS[axis.field].names[0] for axis in self.axes), "-n"]
        factors = [f"{many} × {name}" for many, name in zip(self.shape, names, strict=False)]
        return f"{self.count:,} images: " + ", ".join(factors)


def _say(first: Request, words: Words) -> Request:
    """The request with these words, and its template beside them."""
    template = None if first.prompt == words.prompt else first.prompt
    negative = None if first.negative == words.negative else first.negative
    return replace(
        first,
        prompt=words.prompt,
        negative=words.negative,
        template=template or first.template,
        negative_template=negative or first.negative_template,
        combine=False,
        wildcards=OFF,
    )


def parse_sweep(line: str, base: Request = Request()) -> Sweep:  # noqa: B008 - frozen
    """The requests of a line, which may have lists and ranges of values; else as `parse_line`.

    Raises BadLine, with the column of the wrong item.
    """
    one: dict[str, Any] = {}
    several: dict[str, tuple[Any, ...]] = {}
    notes: list[str] = []
    for name, value in parse_fields(line, sweeps=True, note=notes.append):
        several.pop(name, None)  # only the last value counts
        if isinstance(value, ValueList):
            several[name] = value.values
            value = value.values[0]
        one[name] = value
    axes = tuple(Axis(*axis) for axis in several.items())
    sweep = Sweep(replace(base, **one), axes, tuple(dict.fromkeys(notes)))
    return check_count(sweep)


def check_count(sweep: Sweep) -> Sweep:
    """The sweep. Raises BadLine if it has too many images."""
    if sweep.count > MAX_VALUES:
        raise BadLine(f"this line asks for {sweep}; the maximum is {MAX_VALUES:,}")
    return sweep


def format_sweep(sweep: Sweep, base: Request = Request()) -> str:  # noqa: B008 - frozen
    """The line of a sweep: `set(parse_sweep(format_sweep(s, b), b)) == set(s)`; its axes are in the
    table's order."""
    return format_line_with_lists(sweep.first, base, dict(sweep.axes))
