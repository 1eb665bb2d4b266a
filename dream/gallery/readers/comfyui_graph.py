"""A graph of ComfyUI: its nodes, and the values that their inputs have, followed through links.

PNG text `prompt` is the graph as it ran (subgraphs are already expanded in it, as `12:3`);
`workflow` is the editor's, from which the nodes in `_WIDGETS` are read where the other is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dream.gallery.readers.record import iterate_tables, parse_table, to_list, to_table, to_text

_MOST_NODES = 5000
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

_KSAMPLER = ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise")
_WIDGETS: Mapping[str, tuple[str, ...]] = {
    "KSampler": _KSAMPLER,
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "", "cfg"),
    "RandomNoise": ("noise_seed",),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "CLIPTextEncode": ("text",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
    "UnetLoaderGGUF": ("unet_name",),
    "VAELoader": ("vae_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "ImageScale": ("upscale_method", "width", "height", "crop"),
    "ImageScaleBy": ("upscale_method", "scale_by"),
    "LoadImage": ("image",),
    "PrimitiveNode": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveFloat": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
}
"""The values that the editor's graph lists without names, by node; "" is skipped."""


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
        if isinstance(kind, str) and len(nodes) < _MOST_NODES:
            nodes[key] = Node(key, kind[:200], to_table(node.get("inputs")))
    return Graph(nodes) if nodes else None


def make_editor_graph(table: Mapping[str, object]) -> Graph | None:
    """The graph of a JSON object from the editor (`workflow`); None if it is none. Muted and
    bypassed nodes are left out."""
    links: dict[object, list[object]] = {}
    for link in to_list(table.get("links")):
        if isinstance(link, list) and len(link) >= 5 and isinstance(link[0], int):
            links[link[0]] = [str(link[1]), link[2]]
        elif isinstance(link, dict) and isinstance(link.get("id"), int):
            links[link["id"]] = [str(link.get("origin_id")), link.get("origin_slot", 0)]
    nodes: dict[str, Node] = {}
    for node in iterate_tables(table.get("nodes")):
        kind, key = node.get("type"), str(node.get("id"))
        if not isinstance(kind, str) or node.get("mode") in (2, 4) or len(nodes) >= _MOST_NODES:
            continue
        widgets = node.get("widgets_values")
        inputs = dict(widgets) if isinstance(widgets, dict) else {}
        if isinstance(widgets, list):
            names = _WIDGETS.get(kind, ())
            inputs |= {n: v for n, v in zip(names, widgets, strict=False) if n}
            if not names and len(widgets) == 1:
                inputs["value"] = widgets[0]
        for slot in iterate_tables(node.get("inputs")):
            link_number = slot.get("link")
            if isinstance(link_number, int) and link_number in links:
                inputs[str(slot.get("name"))] = links[link_number]
        nodes[key] = Node(key, kind[:200], inputs)
    return Graph(nodes) if nodes else None
