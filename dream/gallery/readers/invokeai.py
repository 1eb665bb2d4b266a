"""InvokeAI. Version 3 and later: text `invokeai_metadata`, or in the first of them only
`invokeai_graph`; 2: `sd-metadata`, besides the line in `Dream`, which `gallery.png` reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dream.gallery.containers.image_text import ImageText
from dream.gallery.readers.record import (
    INVOKEAI,
    ForeignLora,
    ForeignRecord,
    Settings,
    iterate_tables,
    limit_names,
    parse_table,
    strip_suffix,
    to_list,
    to_number,
    to_table,
    to_text,
    to_whole,
)

_IGNORED = (
    *(
        "generation_mode",
        "rand_device",
        "app_version",
        "seamless_x",
        "seamless_y",
        "positive_style_prompt",
    ),
    *("negative_style_prompt", "created_by", "hrf_method", "hrf_enabled", "init_image"),
)


def read_invokeai(image: ImageText) -> ForeignRecord | None:
    """The record of an image of any version."""
    if record := read_metadata_json(parse_table(image.texts.get("invokeai_metadata", ""))):
        return record
    if record := _read_version_2(parse_table(image.texts.get("sd-metadata", ""))):
        return record
    return _read_graph(parse_table(image.texts.get("invokeai_graph", "")))


def read_metadata_json(table: Mapping[str, object]) -> ForeignRecord | None:
    """The record of `invokeai_metadata`, also as a file of its own."""
    if "positive_prompt" not in table:
        return None
    values = Settings(table)
    model = to_table(values.take("model"))
    vae = to_table(values.take("vae"))
    strength = values.number("strength")
    mode = to_text(table.get("generation_mode"))
    inputs = []
    if "img2img" in mode or table.get("init_image"):
        inputs.append(f"input image {to_text(table.get('init_image'))[:60]}".strip())
    if "inpaint" in mode or "outpaint" in mode:
        inputs.append("mask")
    hires = values.number("hrf_strength") if values.take("hrf_enabled") is True else None
    style = to_text(table.get("positive_style_prompt"))
    unread = [*values_left(values, table)]
    prompt = to_text(table.get("positive_prompt"))
    if style and style != prompt:
        unread.append("positive_style_prompt")
    return ForeignRecord(
        tool="InvokeAI",
        version=to_text(table.get("app_version")),
        prompt=prompt,
        negative=to_text(table.get("negative_prompt")),
        syntax=INVOKEAI,
        seed=to_whole(table.get("seed")),
        steps=to_whole(table.get("steps")),
        cfg_scale=to_number(table.get("cfg_scale")),
        sampler=to_text(table.get("scheduler")),
        width=to_whole(table.get("width")),
        height=to_whole(table.get("height")),
        model=strip_suffix(to_text(model.get("name", model.get("model_name")))),
        model_hash=_sha256(model.get("hash")),
        vae=strip_suffix(to_text(vae.get("name", vae.get("model_name")))),
        clip_skip=_clip_skip(to_whole(table.get("clip_skip"))),
        loras=tuple(_loras(table.get("loras"))),
        strength=strength if inputs else None,
        hires_strength=hires,
        seamless=table.get("seamless_x") is True or table.get("seamless_y") is True,
        cfg_rescale=to_number(table.get("cfg_rescale_multiplier")) or None,
        input_images=tuple(inputs),
        gpu_noise=table.get("rand_device") in ("cuda", "mps"),
        unread=limit_names(unread),
    )


def values_left(values: Settings, table: Mapping[str, object]) -> tuple[str, ...]:
    """The names of what is not carried."""
    for name in ("positive_prompt", "negative_prompt", "seed", "steps", "cfg_scale", "scheduler"):
        values.take(name)
    values.take("width", "height", "clip_skip", "loras", "cfg_rescale_multiplier")
    return values.names_left(_IGNORED)


def _clip_skip(skipped: int | None) -> int | None:
    """InvokeAI counts the skipped layers; others count from 1."""
    return skipped + 1 if skipped else None


def _sha256(value: object) -> str:
    text = to_text(value)
    return text.removeprefix("sha256:") if text.startswith("sha256:") else ""


def _loras(value: object) -> Iterator[ForeignLora]:
    for row in iterate_tables(value):
        model = to_table(row.get("model", row.get("lora")))
        weight = to_number(row.get("weight"))
        if name := to_text(model.get("name", model.get("model_name"))):
            yield ForeignLora(strip_suffix(name), 1.0 if weight is None else weight)


def _read_version_2(table: Mapping[str, object]) -> ForeignRecord | None:
    image = to_table(table.get("image"))
    if not image:
        return None
    values = Settings(image)
    prompts = values.take("prompt")
    prompt = to_text(prompts) or ", ".join(
        filter(None, (to_text(row.get("prompt")) for row in iterate_tables(prompts)))
    )
    kind = values.text("type")
    variations = to_list(values.take("variations"))
    inputs = ("input image",) if kind == "img2img" else ()
    return ForeignRecord(
        tool="InvokeAI",
        version=to_text(table.get("app_version")),
        prompt=prompt,
        syntax=INVOKEAI,
        seed=values.whole("seed"),
        steps=values.whole("steps"),
        cfg_scale=values.number("cfg_scale"),
        sampler=values.text("sampler"),
        width=values.whole("width"),
        height=values.whole("height"),
        model=strip_suffix(to_text(table.get("model_weights"))),
        model_hash=to_text(table.get("model_hash"))[:64],
        strength=values.number("strength") if inputs else None,
        hires_strength=None,
        seamless=values.take("seamless") is True,
        input_images=inputs,
        unread=limit_names(
            [*(["variations"] if variations else []), *values.names_left(("orig_hash", "strength"))]
        ),
    )


def _read_graph(table: Mapping[str, object]) -> ForeignRecord | None:
    """Nodes by their key, edges from a node's field to another's."""
    nodes = {key: to_table(node) for key, node in to_table(table.get("nodes")).items()}
    edges: dict[tuple[str, str], tuple[str, str]] = {}
    for edge in iterate_tables(table.get("edges")):
        end, start = to_table(edge.get("destination")), to_table(edge.get("source"))
        at = (to_text(end.get("node_id")), to_text(end.get("field")))
        edges[at] = (to_text(start.get("node_id")), to_text(start.get("field")))
    denoisers = ("denoise_latents", "t2l", "l2l", "t2l_sdxl", "l2l_sdxl", "flux_denoise")
    key = next((k for k, node in nodes.items() if node.get("type") in denoisers), None)
    if key is None:
        return None

    def value(node: str, field: str, depth: int = 20) -> object:
        """A field's value; where an edge leads to it, that of the same or only field there."""
        if (source := edges.get((node, field))) and depth:
            for name in (source[1], "value", "collection", field):
                if (upstream := value(source[0], name, depth - 1)) is not None:
                    return upstream
            return None
        return nodes.get(node, {}).get(field)

    def source(field: str) -> str:
        return edges.get((str(key), field), ("", ""))[0]

    noise = source("noise")
    loader = next(
        (n for n in nodes.values() if to_text(n.get("type")).endswith("model_loader")), {}
    )
    model = to_table(loader.get("model"))
    return ForeignRecord(
        tool="InvokeAI",
        prompt=to_text(value(source("positive_conditioning"), "prompt")),
        negative=to_text(value(source("negative_conditioning"), "prompt")),
        syntax=INVOKEAI,
        seed=to_whole(value(noise, "seed")),
        steps=to_whole(value(key, "steps")),
        cfg_scale=to_number(value(key, "cfg_scale")),
        sampler=to_text(value(key, "scheduler")),
        width=to_whole(value(noise, "width")),
        height=to_whole(value(noise, "height")),
        model=strip_suffix(to_text(model.get("name", model.get("model_name")))),
        loras=tuple(_loras([n for n in nodes.values() if n.get("type") == "lora_loader"])),
    )
