"""ComfyUI: its graph, walked from the saved image back to the samplers and what they depend on.

PNG text `prompt` and `workflow`; in WebP and AVIF, EXIF Model `prompt:{…}` and EXIF Make
`workflow:{…}`; or a .json file beside the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from dream.gallery.containers.image_text import ImageText
from dream.gallery.readers import comfyui_nodes
from dream.gallery.readers.comfyui_editor import make_editor_graph
from dream.gallery.readers.comfyui_graph import Graph, Node, make_graph
from dream.gallery.readers.record import (
    A1111,
    ForeignRecord,
    limit_names,
    parse_table,
    strip_suffix,
    to_number,
    to_text,
    to_whole,
)

_SAVERS = ("SaveImage", "Image Save", "SaveImageWebsocket", "SaveAnimatedWEBP", "SaveAnimatedPNG")
_KNOWN = (
    *("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced", "KSamplerSelect"),
    *("RandomNoise", "DisableNoise", "BasicScheduler", "BasicGuider", "CFGGuider", "DualCFGGuider"),
    *("CLIPTextEncode", "CLIPTextEncodeSDXL", "CLIPTextEncodeFlux", "CLIPTextEncodeSD3"),
    *("CLIPTextEncodeSDXLRefiner", "CheckpointLoader", "CheckpointLoaderSimple", "UNETLoader"),
    *("UnetLoaderGGUF", "VAELoader", "CLIPLoader", "DualCLIPLoader", "TripleCLIPLoader"),
    *("CLIPLoaderGGUF", "DualCLIPLoaderGGUF", "LoraLoader", "LoraLoaderModelOnly", "VAEDecode"),
    *("Power Lora Loader (rgthree)", "CLIPSetLastLayer", "EmptyLatentImage", "VAEDecodeTiled"),
    *("EmptySD3LatentImage", "EmptyFlux2LatentImage", "EmptyHunyuanImageLatent", "VAEEncode"),
    *("LatentUpscale", "LatentUpscaleBy", "ImageScale", "ImageScaleBy", "LoadImage", "SaveImage"),
    *("PreviewImage", "PrimitiveNode", "PrimitiveInt", "PrimitiveFloat", "PrimitiveString"),
    *("PrimitiveStringMultiline", "PrimitiveBoolean", "Reroute", "ConditioningZeroOut", "Note"),
    *("MarkdownNote", "SaveAnimatedWEBP", "StringConcatenate", "Seed (rgthree)", "Image Save"),
)
"""Nodes whose settings are all carried, or that change nothing. Others are named."""


class _Pass(NamedTuple):
    """One sampler of the graph and what it says."""

    node: Node
    record: ForeignRecord
    denoise: float
    earlier: str
    """The key of the sampler whose latents it continues; empty for the first one."""
    size: tuple[int | None, int | None]
    scale: float | None


def read_comfyui(image: ImageText) -> ForeignRecord | None:
    """The record of an image with a graph."""
    prompt = image.texts.get("prompt", "") or _behind(image, "prompt:")
    workflow = image.texts.get("workflow", "") or _behind(image, "workflow:")
    if record := read_graph_json(parse_table(prompt)):
        return record
    return read_graph_json(parse_table(workflow))


def _behind(image: ImageText, mark: str) -> str:
    """The text of the EXIF tag that begins with a mark."""
    for name in ("EXIF Model", "EXIF Make", "EXIF ImageDescription", "EXIF UserComment"):
        text = image.texts.get(name, "")
        if text[: len(mark)].casefold() == mark:
            return text[len(mark) :]
    return ""


def read_graph_json(table: Mapping[str, object]) -> ForeignRecord | None:
    """The record of a graph as JSON, of either form."""
    graph = make_editor_graph(table) if "nodes" in table else make_graph(table)
    if graph is None:
        return None
    outputs = [node for node in graph.nodes.values() if node.kind in _SAVERS]
    outputs = outputs or [n for n in graph.nodes.values() if "images" in n.inputs]
    reached = list(graph.upstream(*outputs)) if outputs else list(graph.nodes.values())
    samplers = [node for node in reached if _is_sampler(graph, node)]
    if not samplers:
        samplers = [node for node in graph.nodes.values() if _is_sampler(graph, node)]
    if not samplers:
        return None
    passes = [_read_pass(graph, node) for node in samplers[:20]]
    return _join_passes(graph, passes, reached)


def _is_sampler(graph: Graph, node: Node) -> bool:
    if "guider" in node.inputs and "sigmas" in node.inputs:
        return True
    seeded = "seed" in node.inputs or "noise_seed" in node.inputs
    return seeded and "positive" in node.inputs and graph.is_link(node.inputs["positive"])


def _read_pass(graph: Graph, node: Node) -> _Pass:
    """The settings of one sampler. SamplerCustomAdvanced has them in other nodes: noise, guider,
    sampler, sigmas."""
    noise, guider, chooser, sigmas = (
        target[0] if (target := graph.follow(node, name)) else node
        for name in ("noise", "guider", "sampler", "sigmas")
    )
    sigmas = _find(graph, sigmas, "steps")
    positive = _positive_of(guider)
    prompt = comfyui_nodes.read_text(graph, guider, positive)
    negative = comfyui_nodes.read_text(graph, guider, "negative")
    models = comfyui_nodes.read_models(graph, guider if "model" in guider.inputs else node)
    latent = comfyui_nodes.read_latent(graph, node)
    seed = to_whole(graph.value(noise, "noise_seed", "seed"))
    denoise = to_number(graph.value(sigmas, "denoise"))
    start, steps = (to_whole(graph.value(sigmas, name)) for name in ("start_at_step", "steps"))
    if start and steps and 0 < start < steps:
        denoise = 1 - start / steps
    record = ForeignRecord(
        tool="ComfyUI",
        prompt=prompt,
        negative=negative,
        syntax=A1111,
        seed=None if seed is None else seed % (1 << 64),
        steps=steps,
        cfg_scale=to_number(graph.value(guider, "cfg")),
        sampler=to_text(graph.value(chooser, "sampler_name")) or _name_of(chooser, "Sampler"),
        schedule=to_text(graph.value(sigmas, "scheduler")) or _name_of(sigmas, "Scheduler"),
        model=strip_suffix(models.model),
        loras=models.loras,
        clip_skip=comfyui_nodes.read_clip_skip(graph, guider, positive),
        input_images=latent.images,
    )
    return _Pass(
        node, record, 1.0 if denoise is None else denoise, latent.sampler, latent.size, latent.scale
    )


def _positive_of(guider: Node) -> str:
    names = ("positive", "conditioning", "cond1")
    return next((name for name in names if name in guider.inputs), "positive")


def _find(graph: Graph, start: Node, name: str) -> Node:
    """The node itself or the nearest one upstream with an input of that name."""
    for count, node in enumerate(graph.upstream(start)):
        if name in node.inputs:
            return node
        if count > 8:
            break
    return start


def _name_of(node: Node, suffix: str) -> str:
    """`euler_ancestral` of SamplerEulerAncestral, `karras` of KarrasScheduler; else empty."""
    if node.kind.endswith("Scheduler") and suffix == "Scheduler" and node.kind != "BasicScheduler":
        return node.kind.removesuffix("Scheduler")
    if node.kind.startswith("Sampler") and suffix == "Sampler" and "sigmas" not in node.inputs:
        return node.kind.removeprefix("Sampler")
    return ""


def _join_passes(graph: Graph, passes: list[_Pass], reached: list[Node]) -> ForeignRecord:
    """The first pass with text, and a later one over its result as the hires pass; others are
    named."""
    by_key = {one.node.key: one for one in passes}
    firsts = [one for one in passes if one.earlier not in by_key]
    first = next((one for one in firsts if one.record.prompt), (firsts or passes)[0])
    record, (width, height) = first.record, first.size
    if first.record.input_images or first.denoise < 1:
        record = replace(record, strength=first.denoise)
    others = [one for one in passes if one is not first]
    later = next((one for one in others if one.earlier == first.node.key), None)
    if later and 0 < later.denoise < 1 and width and height:
        wide, high = later.size
        if later.scale and 0 < later.scale <= 16:
            wide, high = round(width * later.scale), round(height * later.scale)
        if wide and high and (wide, high) != (width, height):
            width, height = wide, high
            record = replace(record, hires_strength=later.denoise)
            others.remove(later)
    names = [_describe(one) for one in others]
    names += [f"node {node.kind}" for node in reached if _is_unknown(graph, node)]
    guidance = next((n for n in reached if n.kind == "FluxGuidance"), None)
    if guidance is not None:
        names.append(f"FluxGuidance {to_text(graph.value(guidance, 'guidance'))}".strip())
    return replace(
        record,
        width=width,
        height=height,
        vae=comfyui_nodes.read_vae(graph, reached),
        unread=limit_names(dict.fromkeys(names)),
    )


def _describe(one: _Pass) -> str:
    record = one.record
    settings = f"seed {record.seed}, {record.steps} steps, denoise {one.denoise:g}"
    return f"sampler {one.node.key}: {settings}"


def _is_unknown(graph: Graph, node: Node) -> bool:
    if node.kind in (*_KNOWN, "FluxGuidance") or _is_sampler(graph, node):
        return False
    return not comfyui_nodes.is_value(node) and not node.kind.endswith("Scheduler")
