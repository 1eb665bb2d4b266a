"""Option types for adapters: LoRAs and hypernetworks, by name, with weights; and embeddings."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dream.options.option_type import OptionType, format_number

MAX_LORAS = 32
"""How many one line can use."""
MAX_EMBEDDINGS = 100
"""How many one line can use."""

_WEIGHT = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_WORD = re.compile(rf"(?P<name>.+?)(?::(?P<weight>{_WEIGHT}))?(?::(?P<text>{_WEIGHT}))?", re.DOTALL)
_ENDS_LIKE_WEIGHT = re.compile(rf":{_WEIGHT}\Z")


class Lora(NamedTuple):
    """A LoRA, or a file of a related kind, and how strongly it is applied."""

    name: str
    """The file's name without suffix, or a path."""
    weight: float = 1.0
    """Of its part for the denoiser; also for the text encoders unless `text_weight` is set. 0 does
    nothing, negative weights do the opposite."""
    text_weight: float | None = None
    """Of its part for the text encoders; None where it is the same."""

    @property
    def for_text(self) -> float:
        """The weight of its part for the text encoders."""
        return self.weight if self.text_weight is None else self.text_weight


class Hypernet(NamedTuple):
    """A hypernetwork, and how strongly it is applied."""

    name: str
    weight: float = 1.0


def parse_lora(word: str) -> Lora:
    """`NAME`, `NAME:WEIGHT` or `NAME:WEIGHT:TEXT_WEIGHT`. A colon that no number follows belongs to
    the name. Raises ValueError."""
    name, weight, text = _split(word, 2)
    return Lora(name, weight, None if text == weight else text)


def format_lora(lora: Lora) -> str:
    """The inverse of `parse_lora`."""
    name, weight, text = Lora(*lora)
    numbers = [weight] if text is None else [weight, text]
    if _ENDS_LIKE_WEIGHT.search(name):
        numbers = [weight, weight if text is None else text]
    elif numbers == [1]:
        return name
    return ":".join([name, *map(format_number, numbers)])


def _split(word: str, most: int) -> tuple[str, float, float | None]:
    match = _WORD.fullmatch(word)
    if match is None or (most < 2 and match["text"]):
        raise ValueError(word)
    weight, text = match["weight"], match["text"]
    if weight is None and text is not None:  # `.+?` and one number: it is the weight
        weight, text = text, None
    numbers = 1.0 if weight is None else float(weight), None if text is None else float(text)
    if not all(math.isfinite(number) for number in numbers if number is not None):
        raise ValueError(word)
    return match["name"], *numbers


def _read_loras(words: Sequence[str]) -> tuple[Lora, ...]:
    return tuple(map(parse_lora, words))


def _write_loras(value: Iterable[Lora]) -> list[str]:
    return [format_lora(lora) for lora in value]


LORAS: OptionType[tuple[Lora, ...]] = OptionType(
    "NAME[:WEIGHT[:TEXT_WEIGHT]] …",
    "names of LoRAs, each with a weight if it is not 1, such as ink:0.8",
    _read_loras,
    _write_loras,
    nargs=(1, MAX_LORAS),
    completion="lora",
)


def _read_hypernets(words: Sequence[str]) -> tuple[Hypernet, ...]:
    return tuple(Hypernet(*_split(word, 1)[:2]) for word in words)


def _write_hypernets(value: Iterable[Hypernet]) -> list[str]:
    return [_format_hypernet(*one) for one in value]


def _format_hypernet(name: str, weight: float = 1.0) -> str:
    plain = weight == 1 and not _ENDS_LIKE_WEIGHT.search(name)
    return name if plain else f"{name}:{format_number(weight)}"


HYPERNETS: OptionType[tuple[Hypernet, ...]] = OptionType(
    "NAME[:WEIGHT] …",
    "names of hypernetworks, each with a weight if it is not 1",
    _read_hypernets,
    _write_hypernets,
    nargs=(1, MAX_LORAS),
    completion="hypernet",
)


def _read_embeddings(words: Sequence[str]) -> tuple[str, ...]:
    if not all(words):
        raise ValueError
    return tuple(words)


EMBEDDINGS: OptionType[tuple[str, ...]] = OptionType(
    "[NAME …]",
    "names of embeddings, or nothing for none",
    _read_embeddings,
    list,
    nargs=(0, MAX_EMBEDDINGS),
    completion="embedding",
)
