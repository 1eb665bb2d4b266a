"""A graph of ComfyUI: its nodes, and the values that their inputs have, followed through links.

PNG text `prompt` is the graph as it ran, in which subgraphs are already expanded, as `12:3`;
`comfyui_editor` makes the same of the editor's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dream.gallery.readers.record import parse_table, to_table, to_text

MOST_NODES = 5000
"""Of a graph; others are ignored."""
_DEEPEST = 64
"""Maximum nodes that are followed for one value."""
_LONGEST = 100_000
"""Maximum characters of texts that nodes join: each can double what it is given."""

_VALUES = (
    *("value", "text", "string", "prompt", "populated_text", "int", "float", "number", "Number"),
    *("seed", "noise_seed", "Value", "Text", "STRING", "string_field", "text_0", "result", "any"),
    *("anything", "input", "", "*", "source", "output", "wildcard_text", "positive", "text1"),
)
"""The inputs that a node of one value has it in; those of a reroute are named "" or "*"."""
_JOINED: tuple[tuple[str, ...], ...] = (
    ("string_a", "string_b"),
    ("text_a", "text_b", "text_c", "text_d"),
    ("text1", "text2", "text3", "text4"),
    ("string1", "string2"),
    ("prefix", "text", "suffix"),
)
"""The inputs that nodes join to one text."""


@dataclass(frozen=True)
class Node:
    """A node and its inputs: values, or links `[node, slot]`."""

    key: str
    kind: str
    inputs: Mapping[str, object] = field(default_factory=dict)


class Graph:
    """The nodes of a graph by key."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes

    def follow(self, node: Node, name: str) -> tuple[Node, int] | None:
        """The node that an input is linked to, and its output slot; None if it has no link."""
        return self._target(node.inputs.get(name))

    def value(self, node: Node, *names: str) -> object:
        """The value of the first of these inputs that has one, followed through links and nodes
        that only pass on a value; None if there is none."""
        for name in names:
            if name in node.inputs:
                value = self._value(node.inputs[name], {})
                if value is not None:
                    return value
        return None

    def upstream(self, *starts: Node) -> Iterator[Node]:
        """These nodes and all that they depend on, the nearest first, each once."""
        queue, seen = deque(starts), {node.key for node in starts}
        while queue:
            node = queue.popleft()
            yield node
            for value in node.inputs.values():
                target = self._target(value)
                if target and target[0].key not in seen:
                    seen.add(target[0].key)
                    queue.append(target[0])

    def is_link(self, value: object) -> bool:
        """Whether the value of an input is a link to a node."""
        return self._target(value) is not None

    def _target(self, value: object) -> tuple[Node, int] | None:
        if not isinstance(value, list) or len(value) != 2:
            return None
        node = self.nodes.get(str(value[0])) if isinstance(value[0], str | int) else None
        slot = value[1] if isinstance(value[1], int) else 0
        return (node, slot) if node else None

    def _value(self, value: object, known: dict[str, object]) -> object:
        """The value itself, or that of the node it is a link to. `known` are the values of nodes
        that were met; those in a loop have none."""
        target = self._target(value)
        if target is None:
            return None if isinstance(value, list | dict) else value
        node = target[0]
        if node.key not in known and len(known) < _DEEPEST:
            known[node.key] = None
            known[node.key] = self._value_of(node, known)
        return known.get(node.key)

    def _value_of(self, node: Node, known: dict[str, object]) -> object:
        for names in _JOINED:
            if sum(name in node.inputs for name in names) > 1:
                parts = (self._value(node.inputs.get(name), known) for name in names)
                join = node.inputs.get("delimiter", node.inputs.get("separator", " "))
                joined = (join if isinstance(join, str) else " ").join(
                    filter(None, map(to_text, parts))
                )
                return joined[:_LONGEST]
        names = tuple(name for name in _VALUES if name in node.inputs)
        if not names and len(node.inputs) == 1:
            names = tuple(node.inputs)
        for name in names:
            if (value := self._value(node.inputs[name], known)) is not None:
                return value
        return None


def parse_graph(prompt: str) -> Graph | None:
    """The graph of a text `prompt`; None if it is none."""
    return make_graph(parse_table(prompt))


def make_graph(table: Mapping[str, object]) -> Graph | None:
    """The same of a JSON object."""
    nodes: dict[str, Node] = {}
    for key, value in table.items():
        node = to_table(value)
        kind = node.get("class_type")
        if isinstance(kind, str) and len(nodes) < MOST_NODES:
            nodes[key] = Node(key, kind[:200], to_table(node.get("inputs")))
    return Graph(nodes) if nodes else None
