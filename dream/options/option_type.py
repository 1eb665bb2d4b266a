"""What a flag is: its names, the kind of value it takes, and one line of help.

A table of flags is a frozen dataclass: one field per flag, made by `flag(…)`. The reader, the
writer, `--help`, completion, highlighting, the README's table and dream.toml are loops over
`flags_of(Table)`; nothing else names a flag.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class OptionType(Generic[T]):
    """A kind of value: read from words, written back as words, completed while half typed.

    `read(write(value)) == value` holds for every value of the kind; a test walks them all.
    """

    metavar: str
    """How --help names the value, e.g. `N` or `X [STRENGTH]`; empty for a switch."""
    expects: str
    """What a good value is, in words that complete “-s takes …”."""
    read: Callable[[Sequence[str]], T]
    """Words to value. Raises ValueError for words that are no such value."""
    write: Callable[[T], list[str]]
    nargs: tuple[int, int] = (1, 1)
    """Fewest and most words."""
    choices: tuple[str, ...] = ()
    """The names to offer, when there is a fixed set of them."""
    completion: str = ""
    """What the front door may offer: "file", "picture", "folder", "model", "vae", "upscaler",
    "seed", or nothing."""
    allows_range: bool = False
    """Whether its values can be counted from one to another, `10..50:10`."""
    joins: bool = False
    """Whether several words of a line are its first value, up to a number: `-tm a red orange 0.6`,
    as old lines hold it."""


@dataclass(frozen=True)
class Flag:
    """One row of a table."""

    names: tuple[str, ...]
    """Every spelling, the written one first. `--cfg-scale` is read wherever `--cfg_scale` is."""
    kind: OptionType[Any]
    help: str
    section: str
    default: Any
    always_logged: bool = False
    """Written even when it equals the default, so that old logs survive new defaults."""
    affects_image: bool = True
    """Part of what makes the picture; False for where it is kept and how many are made."""

    @property
    def long_name(self) -> str:
        """The long spelling without dashes, e.g. `cfg_scale`."""
        return next(name for name in self.names if name.startswith("--"))[2:]

    @property
    def allows_sweep(self) -> bool:
        """Whether a line may give it several values, `5,7.5,10`, for a picture of each. Not where
        one value holds a comma."""
        listed = bool(self.kind.choices) and not any("," in name for name in self.kind.choices)
        return self.affects_image and (self.kind.allows_range or listed)


def flag(
    *names: str,
    kind: OptionType[Any],
    help: str,
    section: str = "image",
    default: Any = None,
    always: bool = False,
    logged: bool = True,
) -> Any:
    """A dataclass field that is a flag. The field's name is its key in JSON and in dream.toml."""
    row = Flag(names, kind, help, section, default, always, logged)
    return field(default=default, metadata={"flag": row})


@cache
def get_flags(table: type[Any]) -> Mapping[str, Flag]:
    """The rows of a table, by field name, in the order they are written."""
    rows: Iterable[Field[Any]] = fields(table)
    return MappingProxyType({f.name: f.metadata["flag"] for f in rows if "flag" in f.metadata})


# ── kinds ──────────────────────────────────────────────────────────────────────────────────────


def format_number(value: float) -> str:
    """The shortest text that reads back as the same number: 7.0 → 7, 0.1 → 0.1."""
    text = f"{value:g}"
    return text if float(text) == value else repr(value)


def integer(low: int, high: int) -> OptionType[int]:
    """A whole number from low to high, both included."""

    def read(words: Sequence[str]) -> int:
        value = int(words[0])
        if not low <= value <= high:
            raise ValueError
        return value

    means = f"a whole number from {low} to {high}"
    return OptionType("N", means, read, lambda value: [str(value)], allows_range=True)


def real(low: float, high: float = math.inf) -> OptionType[float]:
    """A finite number from low to high, both included."""
    means = f"a number from {format_number(low)} to {format_number(high)}"
    if math.isinf(high):
        means = f"a number of at least {format_number(low)}"

    def read(words: Sequence[str]) -> float:
        value = float(words[0])
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError
        return value

    return OptionType("X", means, read, lambda value: [format_number(value)], allows_range=True)


def choice(
    *names: str, metavar: str = "NAME", aliases: Mapping[str, str] | None = None
) -> OptionType[str]:
    """One of a fixed set of names; aliases are read, never written."""
    known = {name: name for name in names} | dict(aliases or {})

    def read(words: Sequence[str]) -> str:
        if words[0] not in known:
            raise ValueError
        return known[words[0]]

    return OptionType(
        metavar, "one of " + " ".join(names), read, lambda value: [value], choices=names
    )


def text(metavar: str, means: str, completes: str = "") -> OptionType[str]:
    """Any words but none at all."""

    def read(words: Sequence[str]) -> str:
        if not words[0]:
            raise ValueError
        return words[0]

    return OptionType(metavar, means, read, lambda value: [value], completion=completes)


def _no_words(words: Sequence[str]) -> bool:
    return True


BOOLEAN_FLAG: OptionType[bool] = OptionType(
    "", "no value", _no_words, lambda value: [], nargs=(0, 0)
)

MAX_SEED = 2**32 - 1


def _read_seed(words: Sequence[str]) -> int:
    value = int(words[0])
    if value > MAX_SEED:
        raise ValueError
    return value


SEED: OptionType[int] = OptionType(
    "N",
    f"a whole number from 0 to {MAX_SEED}, or -1 for the last image's seed, -2 for the one before",
    _read_seed,
    lambda value: [str(value)],
    completion="seed",
    allows_range=True,
)


IMAGE_FILE: OptionType[str] = text(
    "FILE", "an image file, or -1 for the last image, -2 for the one before", completes="picture"
)


def _read_strength(words: Sequence[str]) -> float:
    value = float(words[0])
    if not 0 < value <= 1:
        raise ValueError
    return value


STRENGTH: OptionType[float] = OptionType(
    "X",
    "a number above 0, up to 1",
    _read_strength,
    lambda value: [format_number(value)],
    allows_range=True,
)


HIRES_STRENGTH: OptionType[float] = OptionType(
    "[X]",
    "no value, or a strength above 0, up to 1",
    lambda words: _read_strength(words) if words else 0.0,
    lambda value: [format_number(value)] if value else [],
    nargs=(0, 1),
)
"""0 is left open."""


SHARE: OptionType[float] = OptionType(
    "[X]",
    "no value, which is 1, or a number from 0 to 1",
    lambda words: real(0, 1).read(words) if words else 1.0,
    lambda value: [format_number(value)],
    nargs=(0, 1),
    allows_range=True,
)
"""Without a value it is all, as old lines that say so without one mean at most."""


class Upscale(NamedTuple):
    """How much larger, and how much of the network's picture against a plain resize."""

    factor: float
    """1 to 8."""
    strength: float = 0.75
    """0 (only the resized original) to 1 (only the network's picture)."""


_FULL = 4.0
"""The largest strength that old lines hold, `-U 4.0 2.0` and the like: all above 1 meant 1."""


def _read_upscale(words: Sequence[str]) -> Upscale:
    value = Upscale(*map(float, words))
    if not (1 <= value.factor <= 8 and 0 <= value.strength <= _FULL):
        raise ValueError
    return value._replace(strength=min(value.strength, 1.0))


UPSCALE: OptionType[Upscale] = OptionType(
    "X [STRENGTH]",
    "a factor from 1 to 8 and optionally a strength from 0 to 1",
    _read_upscale,
    lambda value: [format_number(value.factor), format_number(value.strength)],
    nargs=(1, 2),
)
