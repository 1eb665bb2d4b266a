"""mold: JSON in the PNG text `mold:parameters`, besides one text a setting; a comment in JPEG."""

from __future__ import annotations

from collections.abc import Mapping

from dream.gallery.containers.image_text import COMMENT, ImageText
from dream.gallery.readers.record import (
    ForeignLora,
    ForeignRecord,
    Settings,
    limit_names,
    parse_table,
    strip_suffix,
    to_number,
    to_table,
    to_text,
)

_MARK = "mold:"
_IGNORED = ("version", "parameters", "lora", "lora_scale", "batch_index", "batch_size", "backend")


def read_mold(image: ImageText) -> ForeignRecord | None:
    """The record of an image of mold."""
    comment = image.texts.get(COMMENT, "").partition("mold:parameters ")[2]
    texts = {
        name[len(_MARK) :]: text for name, text in image.texts.items() if name.startswith(_MARK)
    }
    table = parse_table(comment or texts.get("parameters", ""))
    return read_mold_json({**texts, **table}) if texts or table else None


def read_mold_json(table: Mapping[str, object]) -> ForeignRecord | None:
    """The record of its settings."""
    if not {"prompt", "model", "guidance"} <= table.keys():
        return None
    values = Settings(table)
    lora = to_text(table.get("lora")) or to_text(to_table(table.get("lora")).get("path"))
    weight = to_number(table.get("lora_scale"))
    inputs = ("input image",) if values.take("source_image", "image") else ()
    strength = values.number("strength")
    return ForeignRecord(
        tool="mold",
        version=to_text(table.get("version")),
        prompt=values.text("prompt"),
        negative=values.text("negative_prompt"),
        seed=values.whole("seed"),
        steps=values.whole("steps"),
        cfg_scale=values.number("guidance"),
        sampler=values.text("scheduler"),
        width=values.whole("width"),
        height=values.whole("height"),
        model=strip_suffix(values.text("model")),
        loras=(ForeignLora(strip_suffix(lora), 1.0 if weight is None else weight),) if lora else (),
        strength=strength if inputs or (strength and strength < 1) else None,
        input_images=inputs,
        unread=limit_names(values.names_left(_IGNORED)),
    )
