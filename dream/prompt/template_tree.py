"""What a template of a prompt says: text, and places where something is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from dream.prompt.tree import PromptError


class TemplateError(PromptError):
    """A template that cannot be expanded."""


class Occurrence(NamedTuple):
    """A place where something is chosen."""

    text: str
    """As it was typed."""
    ordinal: int
    """How many places with the same text are before it."""
    column: int
    """Where it begins, from 1."""


@dataclass(frozen=True)
class Option:
    """One of the alternatives of a slot."""

    text: str
    nodes: tuple[TemplateNode, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Slot:
    """`{a|b}`: from `least` to `most` of the options, none of them twice."""

    place: Occurrence
    options: tuple[Option, ...]
    least: int = 1
    most: int = 1
    joiner: str = ""


@dataclass(frozen=True)
class Wildcard:
    """`__name__`: a value of a file."""

    place: Occurrence
    pattern: str
    arguments: Mapping[str, tuple[TemplateNode, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """Variables that are set for its value."""


@dataclass(frozen=True)
class Variable:
    """`${name}`, or with a default `${name:words}`."""

    place: Occurrence
    name: str
    default: tuple[TemplateNode, ...] | None = None


@dataclass(frozen=True)
class Assignment:
    """`${name=words}`: says nothing."""

    place: Occurrence
    name: str
    value: tuple[TemplateNode, ...]
    at_once: bool = False
    """Whether it is chosen here, once for all uses."""
    if_unset: bool = False


TemplateNode = str | Slot | Wildcard | Variable | Assignment


@dataclass(frozen=True)
class Template:
    """A text with its places."""

    nodes: tuple[TemplateNode, ...]

    @property
    def is_text(self) -> bool:
        """Whether nothing is chosen in it."""
        return all(isinstance(node, str) for node in self.nodes)

    def walk(self) -> Iterator[TemplateNode]:
        """Every node, also those inside others."""
        waiting = list(reversed(self.nodes))
        while waiting:
            node = waiting.pop()
            yield node
            for inside in reversed(list(_parts(node))):
                waiting += reversed(inside)


def _parts(node: TemplateNode) -> Iterator[tuple[TemplateNode, ...]]:
    match node:
        case Slot():
            yield from (option.nodes for option in node.options)
        case Wildcard():
            yield from node.arguments.values()
        case Variable():
            yield node.default or ()
        case Assignment():
            yield node.value
