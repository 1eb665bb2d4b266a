"""SwarmUI: JSON in the PNG text `parameters`, or in EXIF UserComment; also a .json file."""

from __future__ import annotations

from collections.abc import Mapping

from dream.gallery.containers.image_text import ImageText
from dream.gallery.readers.record import (
    A1111,
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
)

_IGNORED = ("swarm_version", "images", "aspectratio", "automaticvae", "date", "generation_time")


def read_swarmui(image: ImageText) -> ForeignRecord | None:
    """The record of an image of SwarmUI."""
    for name in ("parameters", "EXIF UserComment"):
        if record := read_swarmui_json(parse_table(image.texts.get(name, ""))):
            return record
    return None


def read_swarmui_json(table: Mapping[str, object]) -> ForeignRecord | None:
    """The record of its JSON."""
    settings = to_table(table.get("sui_image_params"))
    if not settings:
        return None
    values = Settings(settings)
    names, weights = values.take("loras"), values.take("loraweights")
    strength = values.number("initimagecreativity")
    inputs = ("input image",) if values.take("initimage") else ()
    refine, scale = values.number("refinercontrolpercentage"), values.number("refinerupscale")
    width, height = values.whole("width"), values.whole("height")
    if scale and 0 < scale <= 16 and width and height:
        width, height = round(width * scale), round(height * scale)
    clip_layer = values.whole("clipstopatlayer")
    unread = [*values.names_left((*_IGNORED, *_TAKEN))]
    if "<" in to_text(settings.get("prompt")):
        unread.append("<…> in the prompt")
    return ForeignRecord(
        tool="SwarmUI",
        version=values.text("swarm_version"),
        prompt=values.text("prompt"),
        negative=values.text("negativeprompt"),
        syntax=A1111,
        seed=values.whole("seed"),
        steps=values.whole("steps"),
        cfg_scale=values.number("cfgscale"),
        sampler=values.text("sampler"),
        schedule=values.text("scheduler"),
        width=width,
        height=height,
        model=strip_suffix(values.text("model")),
        model_hash=_hash(table),
        vae=strip_suffix(values.text("vae")),
        clip_skip=-clip_layer if clip_layer is not None and -24 <= clip_layer < -1 else None,
        loras=tuple(_loras(names, weights)),
        strength=strength if inputs else None,
        hires_strength=refine if scale and scale > 1 else None,
        input_images=inputs,
        unread=limit_names(unread),
    )


_TAKEN = (
    *("prompt", "negativeprompt", "seed", "steps", "cfgscale", "sampler", "scheduler", "model"),
    *("vae",),
)


def _hash(table: Mapping[str, object]) -> str:
    """The first ten digits of the model's SHA-256, as it has them for AUTOMATIC1111's readers."""
    for row in iterate_tables(table.get("sui_models")):
        if row.get("param") == "model":
            return to_text(row.get("hash")).removeprefix("0x")[:64]
    return ""


def _loras(names: object, weights: object) -> list[ForeignLora]:
    rows = (
        names.split(",") if isinstance(names, str) else [to_text(name) for name in to_list(names)]
    )
    numbers = weights.split(",") if isinstance(weights, str) else to_list(weights)
    loras = []
    for index, name in enumerate(rows[:100]):
        weight = to_number(numbers[index]) if index < len(numbers) else None
        if name.strip():
            loras.append(ForeignLora(strip_suffix(name.strip()), 1.0 if weight is None else weight))
    return loras
