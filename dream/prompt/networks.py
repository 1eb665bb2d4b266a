"""LoRAs and hypernetworks named in a prompt: `<lora:name:0.8>`, `withLora(name, 0.8)`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dream.options.syntax_table import PLAIN
from dream.prompt.tree import PromptError

_TAG = re.compile(r"(?<!\\)<(?P<kind>[A-Za-z]\w*):(?P<tag>[^<>]+)>")
_CALL = re.compile(r"(?<![\w\\])(?:with|use)Lora\((?P<call>[^()]*)\)")
_EITHER = re.compile(f"{_TAG.pattern}|{_CALL.pattern}")
_ALIASES = {"lyco": "lora"}
KINDS = ("lora", "hypernet")
WEIGHT_NAMES = ("te", "unet", "dyn")
"""A1111's, in `<lora:name:te=0.5:unet=1>`; `dyn` is read and ignored."""


@dataclass(frozen=True)
class Network:
    """One network that a prompt names."""

    kind: str
    """One of KINDS."""
    name: str
    weights: tuple[float, ...] = ()
    """None: 1. One: for everything. Two: for the text encoder, and for the denoiser."""
    named: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Weights by name, as in `<lora:name:te=0.5:unet=1>`."""


def extract_networks(text: str, syntax: str) -> tuple[str, tuple[Network, ...]]:
    """The prompt without them, and the networks in its order. In `plain` they are words.

    Raises PromptError for a weight that is not a number.
    """
    if syntax == PLAIN or ("<" not in text and "Lora(" not in text):
        return text, ()
    networks: list[Network] = []
    rest, at = "", 0
    for match in _EITHER.finditer(text):
        network = _read(match)
        if network is None:
            continue
        networks.append(network)
        rest += text[at : match.start()]
        at = match.end()
    if not networks:
        return text, ()
    return (rest + text[at:]).strip(), tuple(networks)


def _read(match: re.Match[str]) -> Network | None:
    """The network of a tag or call; None if it is something else, which stays a word."""
    column = match.start() + 1
    if match["call"] is not None:
        name, *values = (part.strip() for part in match["call"].split(","))
        return Network("lora", name, _numbers(values, column)) if name else None
    kind = _ALIASES.get(match["kind"].lower(), match["kind"].lower())
    if kind not in KINDS:
        return None
    name, *values = (part.strip() for part in match["tag"].split(":"))
    pairs = (value.partition("=") for value in values)
    named = {key.strip(): value.strip() for key, sign, value in pairs if sign}
    if unknown := next((key for key in named if key not in WEIGHT_NAMES), ""):
        called = "block weights (lbw)" if unknown == "lbw" else f"“{unknown[:20]}=”"
        raise PromptError(f"{called} in <{kind}:…> are not supported", column, "remove that part")
    weights = _numbers([value for value in values if "=" not in value], column)
    numbers = zip(named, _numbers(list(named.values()), column), strict=True)
    return Network(kind, name, weights, MappingProxyType(dict(numbers))) if name else None


def _numbers(words: list[str], column: int) -> tuple[float, ...]:
    return tuple(_number(word, column) for word in words)


def _number(word: str, column: int) -> float:
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if value != value or abs(value) == float("inf"):
        raise PromptError(f"“{word[:20]}” is not a weight", column, "write <lora:NAME:0.8>")
    return value


def find_unknown_tags(text: str) -> Iterator[str]:
    """Each `<kind:…>` of a kind that is none of KINDS, as extensions of A1111 have them."""
    return (match[0] for match in _TAG.finditer(text) if not _is_network_kind(match["kind"]))


def find_networks(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each, for highlighting."""
    return (match.span() for match in _EITHER.finditer(text) if _is_network(match))


def _is_network(match: re.Match[str]) -> bool:
    return match["call"] is not None or _is_network_kind(match["kind"])


def _is_network_kind(kind: str) -> bool:
    return kind.lower() in (*KINDS, *_ALIASES)
