"""Fooocus: JSON in the PNG text `parameters`, with the scheme's name in `fooocus_scheme`; in JPEG
and WebP in EXIF UserComment, with the scheme in EXIF MakerNote. Its other scheme is AUTOMATIC1111's
text. Forks wrote the JSON as `Comment`.
"""

from __future__ import annotations

from collections.abc import Mapping

from dream.gallery.containers.image_text import ImageText
from dream.gallery.readers.record import (
    A1111,
    ForeignLora,
    ForeignRecord,
    Settings,
    limit_names,
    parse_size,
    parse_table,
    strip_suffix,
    to_list,
    to_text,
    to_weight,
)

_IGNORED = (
    *("version", "metadata_scheme", "created_by", "styles", "performance", "loras", "full_prompt"),
    *("full_negative_prompt", "prompt_expansion", "refiner_switch", "refiner_model_hash"),
    *("adaptive_cfg", "refiner_swap_method", "inpaint_engine_version", "inpaint_method"),
)
_MARKS = {"base_model", "sampler"}
_USUAL = {"sharpness": "2", "adm_guidance": "(1.5, 0.8, 0.3)"}
"""Values that Fooocus always writes; they are named only where they are others."""


def read_fooocus(image: ImageText) -> ForeignRecord | None:
    """The record of an image of Fooocus."""
    for name in ("parameters", "EXIF UserComment", "Comment"):
        if record := read_fooocus_json(parse_table(image.texts.get(name, ""))):
            return record
    return None


def read_fooocus_json(table: Mapping[str, object]) -> ForeignRecord | None:
    """The record of its JSON."""
    if "prompt" not in table or not table.keys() >= _MARKS:
        return None
    values = Settings(table)
    loras: list[ForeignLora] = []
    for number in range(1, 33):
        name, _, weight = values.text(f"lora_combined_{number}").partition(" : ")
        if name and name != "None":
            loras.append(ForeignLora(strip_suffix(name), to_weight(weight)))
    for row in [] if loras else to_list(table.get("loras"))[:100]:
        named, amount, *_ = [*to_list(row), "", ""]
        if to_text(named):
            loras.append(ForeignLora(strip_suffix(to_text(named)), to_weight(amount)))
    width, height = parse_size(values.text("resolution"))
    width, height = width or values.whole("width"), height or values.whole("height")
    clip_skip = values.whole("clip_skip")
    vae = values.text("vae")
    prompt, negative = values.text("prompt"), values.text("negative_prompt")
    usual = [name for name, value in _USUAL.items() if to_text(table.get(name)) == value]
    return ForeignRecord(
        tool="Fooocus",
        version=to_text(table.get("version")).removeprefix("Fooocus "),
        prompt=_whole_text(table.get("full_prompt")) or prompt,
        negative=_whole_text(table.get("full_negative_prompt")) or negative,
        syntax=A1111,
        seed=values.whole("seed"),
        steps=values.whole("steps"),
        cfg_scale=values.number("guidance_scale", "cfg"),
        sampler=values.text("sampler", "sampler_name"),
        schedule=values.text("scheduler"),
        width=width,
        height=height,
        model=strip_suffix(values.text("base_model")),
        model_hash=values.text("base_model_hash"),
        vae="" if vae.startswith("Default") or vae == "None" else strip_suffix(vae),
        clip_skip=clip_skip if clip_skip and clip_skip > 1 else None,
        loras=tuple(loras),
        unread=limit_names(values.names_left((*_IGNORED, *usual))),
    )


def _whole_text(value: object) -> str:
    """The prompt with its styles: one text, or a list of them."""
    return to_text(value) or ", ".join(filter(None, map(to_text, to_list(value))))
