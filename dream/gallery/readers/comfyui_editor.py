"""ComfyUI's editor graph, text `workflow`, as the graph that it runs.

Links lead through what only the editor knows: subgraphs, bypassed nodes, reroutes, and KJNodes'
pairs of Set and Get. Muted nodes are left out.
https://docs.comfy.org/specs/workflow_json; ComfyUI_frontend, src/utils/executionUtil.ts
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dream.gallery.readers.comfyui_graph import MOST_NODES, Graph, Node
from dream.gallery.readers.comfyui_widgets import read_widgets
from dream.gallery.readers.record import iterate_tables, to_list, to_table

_MUTED, _BYPASSED = 2, 4
"""Values of `mode`."""
_INPUTS, _OUTPUTS = "-10", "-20"
"""The nodes of a subgraph that stand for its own inputs and outputs."""
_DEEPEST = 16
"""Subgraphs in each other at most."""
_MOST_SLOTS = 200
"""Inputs of a node that are looked at."""
_MOST_HOPS_OF_ONE = 200
_MOST_HOPS = 100_000
"""Links that are followed for one input, and links and slots in all."""


@dataclass(frozen=True)
class _Link:
    origin: str
    slot: int
    kind: str
    """The type of what it carries, such as MODEL; `*` is any."""


@dataclass(frozen=True)
class _Sheet:
    """The nodes and links of the workflow, or of one of its subgraphs."""

    nodes: Mapping[str, Mapping[str, object]]
    links: Mapping[int, _Link]
    outputs: Mapping[int, int]
    """The link to each output of a subgraph."""


@dataclass(frozen=True)
class _Place:
    """A sheet where it is used, as a subgraph can be more than once."""

    sheet: _Sheet
    prefix: str = ""
    """Of its nodes' keys: `12:` within node 12."""
    outer: _Place | None = None
    instance: Mapping[str, object] = field(default_factory=dict)
    """The node of the outer place that stands for it."""
    inner: dict[str, _Place] = field(default_factory=dict)
    values: Mapping[str, object] = field(default_factory=dict)
    """Values that the instance has for inputs of the subgraph."""
    promoted: Mapping[tuple[str, str], object] = field(default_factory=dict)
    """Values that the instance has for widgets of nodes within, by node and name."""


def make_editor_graph(table: Mapping[str, object]) -> Graph | None:
    """The graph of a JSON object from the editor; None if it has no nodes. Raises nothing."""
    tables = list(iterate_tables(to_table(table.get("definitions")).get("subgraphs")))
    subgraphs = {str(one.get("id")): _read_sheet(one) for one in tables}
    top = _Place(_read_sheet(table))
    places = list(_list_places(top, subgraphs))
    follower = _Follower()
    nodes: dict[str, Node] = {}
    for place in places:
        for key, node in place.sheet.nodes.items():
            if node.get("mode") not in (_MUTED, _BYPASSED) and key not in place.inner:
                name = f"{place.prefix}{key}"
                inputs = _read_inputs(place, key, node, follower)
                nodes[name] = Node(name, str(node["type"])[:200], inputs)
    return Graph(nodes) if nodes else None


def _read_sheet(table: Mapping[str, object]) -> _Sheet:
    links, outputs = dict[int, _Link](), dict[int, int]()
    for link in to_list(table.get("links")):
        row = to_table(link)
        if isinstance(link, list) and len(link) >= 5:
            names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
            row = dict(zip(names, link, strict=False))
        number, target, slot = row.get("id"), str(row.get("target_id")), row.get("target_slot")
        if isinstance(number, int):
            start = row.get("origin_slot")
            links[number] = _Link(
                str(row.get("origin_id")),
                start if isinstance(start, int) else 0,
                str(row.get("type")),
            )
            if target == _OUTPUTS and isinstance(slot, int):
                outputs[slot] = number
    nodes = {
        str(node.get("id")): node
        for node in iterate_tables(table.get("nodes"))
        if isinstance(node.get("type"), str)
    }
    return _Sheet(nodes, links, outputs)


def _list_places(top: _Place, subgraphs: Mapping[str, _Sheet]) -> Iterator[_Place]:
    """The workflow, and each use of a subgraph, with at most MOST_NODES nodes in all."""
    waiting, count = [(top, 0)], 0
    while waiting:
        place, depth = waiting.pop()
        count += len(place.sheet.nodes) + 1
        if count > MOST_NODES:
            return
        yield place
        for key, node in place.sheet.nodes.items():
            sheet = subgraphs.get(str(node["type"]))
            if sheet is not None and depth < _DEEPEST and node.get("mode") != _MUTED:
                values, promoted = _read_instance(node)
                inner = _Place(sheet, f"{place.prefix}{key}:", place, node, {}, values, promoted)
                place.inner[key] = inner
                if node.get("mode") != _BYPASSED:
                    waiting.append((inner, depth + 1))


def _read_instance(
    node: Mapping[str, object],
) -> tuple[dict[str, object], dict[tuple[str, str], object]]:
    """The values of a subgraph's node: of its inputs, and of nodes within, which its property
    `proxyWidgets` names."""
    values = to_list(node.get("widgets_values"))
    proxies = to_list(to_table(node.get("properties")).get("proxyWidgets"))
    pairs = [
        (str(proxy[0]), str(proxy[1]))
        for proxy in proxies
        if isinstance(proxy, list) and len(proxy) >= 2
    ]
    if not pairs:
        widgets = (to_table(slot.get("widget")) for slot in iterate_tables(node.get("inputs")))
        pairs = [("-1", str(widget["name"])) for widget in widgets if "name" in widget]
    if len(pairs) != len(values):
        return {}, {}
    found = dict(zip(pairs, values, strict=True))
    own = {name: value for (key, name), value in found.items() if key == "-1"}
    return own, {pair: value for pair, value in found.items() if pair[0] != "-1"}


def _read_inputs(
    place: _Place, key: str, node: Mapping[str, object], follower: _Follower
) -> dict[str, object]:
    """Values and links of a node, as the graph that runs has them."""
    inputs = read_widgets(node)
    for (owner, name), value in place.promoted.items():
        if owner == key:
            inputs[name] = value
    for slot in _slots(node):
        found = follower.follow(place, slot.get("link"))
        if found is not None:
            inputs[str(slot.get("name"))] = found
    return inputs


def _slots(node: Mapping[str, object]) -> list[dict[str, object]]:
    return list(iterate_tables(to_list(node.get("inputs"))[:_MOST_SLOTS]))


class _Follower:
    """Follows links to the nodes that run."""

    def __init__(self) -> None:
        self._hops = 0

    def follow(self, place: _Place, number: object) -> object:
        """What a link brings: `[key, slot]` of the node that it begins at, or a value that the node
        of a subgraph has for it; None if it ends nowhere."""
        for _ in range(_MOST_HOPS_OF_ONE):
            link = place.sheet.links.get(number) if isinstance(number, int) else None
            self._hops += 1
            if link is None or self._hops > _MOST_HOPS:
                return None
            if link.origin == _INPUTS:
                if place.outer is None:
                    return None
                slots = _slots(place.instance)
                slot = slots[link.slot] if 0 <= link.slot < len(slots) else {}
                if slot.get("link") is None:
                    value = place.values.get(str(slot.get("name")))
                    return None if isinstance(value, list | dict) else value
                place, number = place.outer, slot["link"]
                continue
            node = place.sheet.nodes.get(link.origin)
            if node is None or node.get("mode") == _MUTED:
                return None
            if node.get("mode") == _BYPASSED:
                number = self._find_passed(node, link)
            elif (inner := place.inner.get(link.origin)) is not None:
                place, number = inner, inner.sheet.outputs.get(link.slot)
            elif str(node["type"]).startswith("Reroute"):
                number = next((slot.get("link") for slot in _slots(node)), None)
            elif node["type"] == "GetNode":
                number = self._find_set(place.sheet, node)
            else:
                return [f"{place.prefix}{link.origin}", link.slot]
        return None

    def _find_passed(self, node: Mapping[str, object], link: _Link) -> object:
        """The link that a bypassed node passes on: of the input at the same place if it is of the
        same type, else of the first one that is."""
        slots = _slots(node)
        self._hops += len(slots)
        same = slots[link.slot : link.slot + 1] if link.slot >= 0 else []
        for slot in (*same, *slots):
            if slot.get("link") is not None and (slot.get("type") == link.kind or link.kind == "*"):
                return slot["link"]
        return None

    def _find_set(self, sheet: _Sheet, node: Mapping[str, object]) -> object:
        """The link into the SetNode of the same name."""
        self._hops += len(sheet.nodes)
        for other in sheet.nodes.values():
            if other["type"] == "SetNode" and other.get("widgets_values") == node.get(
                "widgets_values"
            ):
                return next((slot.get("link") for slot in _slots(other)), None)
        return None
