"""What the nodes of ComfyUI say: texts, models with their LoRAs, latents, the VAE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dream.gallery.readers.comfyui_graph import Graph, Node
from dream.gallery.readers.record import (
    ForeignLora,
    strip_suffix,
    to_number,
    to_table,
    to_text,
    to_whole,
)

_TEXTS = (
    *("text", "text_g", "t5xxl", "clip_l", "text_l", "prompt", "positive_prompt", "wildcard_text"),
    *("string", "positive", "text_positive"),
)
_MODELS = ("ckpt_name", "unet_name", "base_ckpt_name", "model_name", "gguf_name", "diffusion_name")
_DEEPEST = 64


class Models(NamedTuple):
    """The model of a sampler, and the LoRAs between both, the first applied first."""

    model: str
    loras: tuple[ForeignLora, ...]


class Latent(NamedTuple):
    """What a sampler begins from."""

    size: tuple[int | None, int | None]
    sampler: str
    """The key of the sampler whose result it is; empty: an empty latent or an image."""
    images: tuple[str, ...]
    scale: float | None
    """By which the result of that sampler was scaled."""


def is_value(node: Node) -> bool:
    """Whether a node only holds or joins values."""
    names = ("Primitive", "String", "Text", "Int", "Float", "Reroute", "Seed", "Constant", "Note")
    return node.kind.startswith(names) or "string" in node.kind.casefold()


def read_text(graph: Graph, node: Node, name: str) -> str:
    """The text behind a conditioning input: of all its encoders, each once."""
    texts: list[str] = []
    _collect_texts(graph, node, name, texts, {node.key}, _DEEPEST)
    return ", ".join(dict.fromkeys(filter(None, (text.strip() for text in texts))))


def _collect_texts(
    graph: Graph, node: Node, name: str, texts: list[str], seen: set[str], depth: int
) -> None:
    target = graph.follow(node, name)
    if target is None or depth <= 0:
        return
    encoder, slot = target
    if encoder.key in seen or encoder.kind == "ConditioningZeroOut":
        return
    seen.add(encoder.key)
    both = {"positive", "negative"} <= encoder.inputs.keys()
    if both and graph.is_link(encoder.inputs["positive"]):  # ControlNetApplyAdvanced and the like
        way = "negative" if slot == 1 else "positive"
        _collect_texts(graph, encoder, way, texts, seen, depth - 1)
        return
    names: tuple[str, ...] = _TEXTS
    if slot == 1 and "negative" in encoder.inputs:  # a loader with both texts
        names = ("negative", "text_negative", "negative_prompt")
    if own_texts := [text for key in names if (text := _own_text(graph, encoder, key))]:
        texts.extend(own_texts)
        return
    for key, value in encoder.inputs.items():
        if graph.is_link(value) and key.startswith(("conditioning", "positive", "cond", "any", "")):
            if key in ("clip", "model", "vae", "image", "control_net", "clip_vision_output"):
                continue
            _collect_texts(graph, encoder, key, texts, seen, depth - 1)


def _own_text(graph: Graph, encoder: Node, key: str) -> str:
    value = encoder.inputs.get(key)
    if value is None or isinstance(value, int | float):
        return ""
    text = graph.value(encoder, key)
    return text if isinstance(text, str) else ""


def read_models(graph: Graph, node: Node) -> Models:
    """The model of a sampler or guider, by its links `model`."""
    loras: list[ForeignLora] = []
    for one in _along(graph, node, ("model", "model1", "base_model", "any", "")):
        loras[:0] = _read_loras(graph, one)
        for name in _MODELS:
            if text := to_text(graph.value(one, name)):
                return Models(text, tuple(loras))
    return Models("", tuple(loras))


def _along(graph: Graph, node: Node, names: Iterable[str]) -> Iterator[Node]:
    """The nodes that one follows over inputs of these names."""
    seen = {node.key}
    for _ in range(_DEEPEST):
        target = next(filter(None, (graph.follow(node, name) for name in names)), None)
        if target is None or target[0].key in seen:
            return
        node = target[0]
        seen.add(node.key)
        yield node


def _read_loras(graph: Graph, node: Node) -> list[ForeignLora]:
    if "lora_name" in node.inputs:
        weight = to_number(graph.value(node, "strength_model", "strength", "lora_wt"))
        name = to_text(graph.value(node, "lora_name"))
        return [ForeignLora(strip_suffix(name), 1.0 if weight is None else weight)] if name else []
    loras = []
    for name, value in node.inputs.items():
        row = to_table(value)  # rgthree's Power Lora Loader
        if name.startswith("lora_") and row.get("on") is True and to_text(row.get("lora")):
            weight = to_number(row.get("strength"))
            lora = strip_suffix(to_text(row["lora"]))
            loras.append(ForeignLora(lora, 1.0 if weight is None else weight))
    return loras


def read_clip_skip(graph: Graph, guider: Node, name: str) -> int | None:
    """The number of CLIP's last layers that are skipped, plus one, as other programs count."""
    target = graph.follow(guider, name)
    if target is None:
        return None
    nodes = [target[0], *_along(graph, target[0], ("clip", "conditioning", "positive"))]
    for node in nodes:
        layer = to_whole(graph.value(node, "stop_at_clip_layer"))
        if layer is not None and -24 <= layer < -1:
            return -layer
    return None


def read_latent(graph: Graph, sampler: Node) -> Latent:
    """What a sampler begins from, back to an empty latent, an image, or another sampler."""
    size: tuple[int | None, int | None] = (None, None)
    scale = None
    start = "latent_image" if "latent_image" in sampler.inputs else "latent"
    names = (start, "samples", "latent", "latent_image", "pixels", "image", "images", "any", "")
    for node in _along(graph, sampler, names):
        if "sampler_name" in node.inputs or "sigmas" in node.inputs:
            return Latent(size, node.key, (), scale)
        width, height = (to_whole(graph.value(node, side)) for side in ("width", "height"))
        if width and height and size == (None, None):
            size = (width, height)
        scale = scale or to_number(graph.value(node, "scale_by", "upscale_by"))
        name = node.inputs.get("image", node.inputs.get("image_path"))
        if isinstance(name, str) and not graph.is_link(name):
            return Latent(size, "", (f"input image {name[:60]}",), scale)
    return Latent(size, "", (), scale)


def read_vae(graph: Graph, nodes: Iterable[Node]) -> str:
    """The VAE that decodes, if it is not the model's own."""
    for node in nodes:
        if node.kind.startswith("VAEDecode") and (target := graph.follow(node, "vae")):
            name = to_text(graph.value(target[0], "vae_name"))
            return strip_suffix(name) if name else ""
    return ""
