"""imaginAIry: JSON in EXIF UserComment, with `Imaginairy` in EXIF Software."""

from __future__ import annotations

from dream.gallery.containers.image_text import ImageText
from dream.gallery.readers.record import (
    PLAIN,
    ForeignRecord,
    Settings,
    iterate_tables,
    limit_names,
    parse_table,
    strip_suffix,
    to_list,
    to_table,
    to_text,
    to_whole,
)

_NO_IMAGE = ("", "None")
_CARRIED = ("prompts", "prompt", "negative_prompt", "size", "init_image", "mask_image")


def read_imaginairy(image: ImageText) -> ForeignRecord | None:
    """The record of an image of imaginAIry."""
    table = parse_table(image.texts.get("EXIF UserComment", ""))
    prompts = to_table(table.get("prompt"))
    software = image.texts.get("EXIF Software", "")
    if "solver_type" not in prompts and not software.startswith("Imaginairy"):
        return None
    values = Settings(prompts)
    size = [*to_list(values.take("size")), None, None]
    inputs = [
        name.replace("_", " ").replace("init", "input")
        for name in ("init_image", "mask_image")
        if to_text(values.take(name)) not in _NO_IMAGE
    ]
    return ForeignRecord(
        tool="imaginAIry",
        prompt=_words(values.take("prompts", "prompt_text")),
        negative=_words(values.take("negative_prompt")),
        syntax=PLAIN,
        seed=values.whole("seed"),
        steps=values.whole("steps"),
        cfg_scale=values.number("prompt_strength"),
        sampler=values.text("solver_type"),
        width=to_whole(size[0]),
        height=to_whole(size[1]),
        model=strip_suffix(values.text("model_weights")),
        input_images=tuple(inputs),
        unread=limit_names(values.names_left(_CARRIED)),
    )


def _words(value: object) -> str:
    """A prompt as text, or as a list of weighted prompts."""
    rows = (to_text(row.get("text")) for row in iterate_tables(value))
    return to_text(value) or ", ".join(filter(None, rows))
