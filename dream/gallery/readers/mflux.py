"""mflux: JSON in EXIF UserComment, marked as ASCII though it is UTF-8; also a .json file."""

from __future__ import annotations

from collections.abc import Mapping

from dream.gallery.containers.image_text import ImageText
from dream.gallery.readers.record import (
    ForeignLora,
    ForeignRecord,
    Settings,
    limit_names,
    parse_table,
    strip_suffix,
    to_list,
    to_number,
    to_text,
)

_IGNORED = (
    *("mflux_version", "base_model", "precision", "quantize", "generation_time_seconds"),
    *("created_at", "image_strength", "controlnet_strength", "redux_image_strengths", "width"),
    *("height", "lora_scales"),
)


def read_mflux(image: ImageText) -> ForeignRecord | None:
    """The record of an image of mflux."""
    return read_mflux_json(parse_table(image.texts.get("EXIF UserComment", "")))


def read_mflux_json(table: Mapping[str, object]) -> ForeignRecord | None:
    """The record of its JSON."""
    if "mflux_version" not in table:
        return None
    values = Settings(table)
    weights = to_list(table.get("lora_scales"))
    loras = []
    for index, path in enumerate(to_list(values.take("lora_paths"))[:100]):
        weight = to_number(weights[index]) if index < len(weights) else None
        loras.append(ForeignLora(strip_suffix(to_text(path)), 1.0 if weight is None else weight))
    inputs = ("input image",) if values.take("image_path", "image_paths") else ()
    model = values.text("model")
    return ForeignRecord(
        tool="mflux",
        version=to_text(table.get("mflux_version")),
        prompt=values.text("prompt"),
        negative=values.text("negative_prompt"),
        seed=values.whole("seed"),
        steps=values.whole("steps"),
        cfg_scale=values.number("guidance"),
        width=_whole(table.get("width")),
        height=_whole(table.get("height")),
        model=strip_suffix(model),
        loras=tuple(loras),
        strength=to_number(table.get("image_strength")) if inputs else None,
        input_images=inputs,
        gpu_noise=True,
        unread=limit_names(values.names_left(_IGNORED)),
    )


def _whole(value: object) -> int | None:
    number = to_number(value)
    return int(number) if number else None
