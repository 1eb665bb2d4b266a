"""Draw Things: JSON in XMP's `exif:UserComment`, or in EXIF UserComment."""

from __future__ import annotations

from collections.abc import Mapping

from dream.gallery.containers.image_text import XMP, ImageText
from dream.gallery.readers.record import (
    A1111,
    ForeignLora,
    ForeignRecord,
    Settings,
    iterate_tables,
    limit_names,
    parse_size,
    parse_table,
    strip_suffix,
    to_text,
    to_weight,
)
from dream.gallery.readers.xmp import find_element

_IGNORED = ("v2", "seed_mode", "model_hash", "mask_blur", "profile", "upscaler_scale")


def read_drawthings(image: ImageText) -> ForeignRecord | None:
    """The record of an image of Draw Things."""
    for text in (
        find_element(image.texts.get(XMP, ""), "exif:UserComment"),
        image.texts.get("EXIF UserComment", ""),
    ):
        if record := read_drawthings_json(parse_table(text)):
            return record
    return None


def read_drawthings_json(table: Mapping[str, object]) -> ForeignRecord | None:
    """The record of its JSON."""
    if "c" not in table or not {"uc", "sampler", "scale", "seed"} & table.keys():
        return None
    values = Settings(table)
    width, height = parse_size(values.text("size"))
    strength = values.number("strength")
    loras = tuple(
        ForeignLora(strip_suffix(to_text(row.get("model"))), to_weight(row.get("weight")))
        for row in iterate_tables(values.take("lora"))
        if to_text(row.get("model"))
    )
    return ForeignRecord(
        tool="Draw Things",
        prompt=values.text("c"),
        negative=values.text("uc"),
        syntax=A1111,
        seed=values.whole("seed"),
        steps=values.whole("steps"),
        cfg_scale=values.number("scale"),
        sampler=values.text("sampler"),
        width=width,
        height=height,
        model=strip_suffix(values.text("model")),
        loras=loras,
        strength=strength if strength is not None and strength < 1 else None,
        input_images=("input image",) if strength is not None and strength < 1 else (),
        gpu_noise=True,
        unread=limit_names(values.names_left(_IGNORED)),
    )
