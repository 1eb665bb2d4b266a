"""Defines flags: their names, the type of value they take, and one line of help.

A table of flags is a frozen dataclass with one field per flag, made by `flag(…)`. The reader, the
writer, `--help`, completion, highlighting, docs/reference.md and dream.toml are loops over
`get_flags(Table)`; nothing else names a flag.
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
    """A type of value: parses words, formats values as words, completes half-typed words.

    `read(write(value)) == value` for every value of the type; a test checks all types.
    """

    metavar: str
    """The value in --help, e.g. `N` or `X [STRENGTH]`; empty for a switch without one."""
    expects: str
    """What a valid value is, as in “-s takes …”."""
    read: Callable[[Sequence[str]], T]
    """Words to value. Raises ValueError for invalid words."""
    write: Callable[[T], list[str]]
    nargs: tuple[int, int] = (1, 1)
    """Minimum and maximum number of words."""
    choices: tuple[str, ...] = ()
    """The allowed names, if there is a fixed set."""
    completion: str = ""
    """What completion may offer: "file", "picture", "folder", "model", "vae", "text_encoder",
    "upscaler", "face model", "lora", "embedding", "seed", or nothing."""
    allows_range: bool = False
    """Whether ranges such as `10..50:10` are allowed."""
    joins: bool = False
    """Whether several words, up to a number, are its first value, as in old lines:
    `-tm a red orange 0.6`."""
    repeats: bool = False
    """Whether it can be given several times, or as a list in dream.toml; the values are joined with
    commas."""
    accumulates: bool = False
    """Whether it can be given several times in one line; its values are tuples, and add up."""
    suggest: Callable[[str], str] = lambda refused: ""
    """What to do about refused words; empty if nothing is known."""


@dataclass(frozen=True)
class Flag:
    """One row of a table."""

    names: tuple[str, ...]
    """Every spelling, the one that is written first. `--cfg-scale` means `--cfg_scale`."""
    kind: OptionType[Any]
    help: str
    section: str
    default: Any
    always_logged: bool = False
    """Written even if it equals the default, so that old logs survive new defaults."""
    affects_image: bool = True
    """Whether the image depends on it; False for where and how many images are saved."""

    @property
    def long_name(self) -> str:
        """The long spelling without dashes, e.g. `cfg_scale`."""
        return next(name for name in self.names if name.startswith("--"))[2:]

    @property
    def allows_sweep(self) -> bool:
        """Whether a line may list several values, `5,7.5,10`, for an image each. Not if a single
        value can contain a comma."""
        is_list = bool(self.kind.choices) and not any("," in name for name in self.kind.choices)
        return self.affects_image and (self.kind.allows_range or is_list)


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
    """The rows of a table, by field name, in the table's order."""
    rows: Iterable[Field[Any]] = fields(table)
    return MappingProxyType({f.name: f.metadata["flag"] for f in rows if "flag" in f.metadata})


# ── types ──────────────────────────────────────────────────────────────────────────────────────


def format_number(value: float) -> str:
    """The shortest text that reads back as the same number: 7.0 → 7, 0.1 → 0.1."""
    text = f"{value:g}"
    return text if float(text) == value else repr(value)


def integer(low: int, high: int) -> OptionType[int]:
    """An integer from low to high, inclusive."""

    def read(words: Sequence[str]) -> int:
        value = int(words[0])
        if not low <= value <= high:
            raise ValueError
        return value

    expects = f"a whole number from {low} to {high}"
    return OptionType("N", expects, read, lambda value: [str(value)], allows_range=True)


def real(low: float, high: float = math.inf) -> OptionType[float]:
    """A finite number from low to high, inclusive."""
    expects = f"a number from {format_number(low)} to {format_number(high)}"
    if math.isinf(high):
        expects = f"a number of at least {format_number(low)}"

    def read(words: Sequence[str]) -> float:
        value = float(words[0])
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError
        return value

    return OptionType("X", expects, read, lambda value: [format_number(value)], allows_range=True)


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


def text(metavar: str, expects: str, completes: str = "") -> OptionType[str]:
    """Any text that is not empty."""

    def read(words: Sequence[str]) -> str:
        if not words[0]:
            raise ValueError
        return words[0]

    return OptionType(metavar, expects, read, lambda value: [value], completion=completes)


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


MAX_REFERENCES = 32
"""How many reference images one line can name; a model takes fewer."""


def _read_files(words: Sequence[str]) -> tuple[str, ...]:
    if not words or not all(words):
        raise ValueError
    return tuple(words)


IMAGE_FILES: OptionType[tuple[str, ...]] = OptionType(
    "FILE …",
    "image files, or -1 for the last image, -2 for the one before",
    _read_files,
    list,
    nargs=(1, MAX_REFERENCES),
    completion="picture",
)
"""In the order in which the model sees them."""


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
"""0 means the default."""


SHARE: OptionType[float] = OptionType(
    "[X]",
    "no value, which is 1, or a number from 0 to 1",
    lambda words: real(0, 1).read(words) if words else 1.0,
    lambda value: [format_number(value)],
    nargs=(0, 1),
    allows_range=True,
)
"""Without a value it is 1, as old lines mean it."""


FACE_STRENGTH: OptionType[float] = OptionType(
    "[X]",
    "no value, which is 0.8, or a number from 0 (off) to 1",
    lambda words: real(0, 1).read(words) if words else 0.8,
    lambda value: [format_number(value)],
    nargs=(0, 1),
    allows_range=True,
)


class Upscale(NamedTuple):
    """The upscaling factor, and the share of the upscaler's image against a plain resize."""

    factor: float
    """1 to 8."""
    strength: float = 0.75
    """0 (only the resized original) to 1 (only the upscaler's image)."""


_FULL = 4.0
"""The largest strength in old lines, such as `-U 4.0 2.0`: all above 1 meant 1."""


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
