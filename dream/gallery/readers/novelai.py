"""NovelAI: PNG texts `Description` (the prompt), `Software`, `Source` and `Comment` (JSON); the
same as JSON in the lowest bits of the pixels (`stealth`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dream.gallery.containers.image_text import ImageText
from dream.gallery.readers.record import (
    A1111,
    ForeignRecord,
    Settings,
    iterate_tables,
    limit_names,
    parse_table,
    to_table,
    to_text,
)

_IGNORED = (
    *("prompt", "uc", "v4_prompt", "v4_negative_prompt", "n_samples", "version", "signed_hash"),
    *("request_type", "lora_unet_weights", "lora_clip_weights", "hide_debug_overlay", "noise"),
    *("params_version", "legacy", "legacy_v3_extend", "add_original_image", "uncond_per_vibe"),
    *("wonky_vibe_correlation", "strength", "deliberate_euler_ancestral_bug", "sm", "sm_dyn"),
    *("prefer_brownian", "cfg_sched_eligibility", "explike_fine_detail", "minimize_sigma_inf"),
    *("uncond_scale", "controlnet_strength", "dynamic_thresholding_percentile", "stream"),
    *("dynamic_thresholding_mimic_scale", "legacy_uc", "extra_passthrough_testing", "use_order"),
    *("director_reference_strengths", "cfg_rescale", "skip_cfg_below_sigma", "use_coords"),
)
_STRONGER, _WEAKER = 1.05, 1 / 1.05


def read_novelai(image: ImageText) -> ForeignRecord | None:
    """The record of an image of NovelAI."""
    texts = image.texts
    comment = parse_table(texts.get("Comment", "") or texts.get("EXIF UserComment", ""))
    if "Comment" in comment and "scale" not in comment:  # its WebP: all texts as one JSON
        return read_novelai_json(comment)
    if not ({"scale", "uc", "sampler"} <= comment.keys()):
        return None
    return _make_record(comment, texts.get("Description", ""), texts.get("Source", ""))


def read_novelai_json(table: Mapping[str, object]) -> ForeignRecord | None:
    """The record of all texts as one JSON object."""
    comment = table.get("Comment")
    inner = to_table(comment) or parse_table(to_text(comment))
    if not ({"scale", "sampler"} <= inner.keys()):
        return None
    return _make_record(inner, to_text(table.get("Description")), to_text(table.get("Source")))


def _make_record(comment: Mapping[str, object], prompt: str, source: str) -> ForeignRecord:
    values = Settings(comment)
    characters = _captions(comment.get("v4_prompt"))
    unwanted = _captions(comment.get("v4_negative_prompt"))
    text = ", ".join(filter(None, [to_text(comment.get("prompt")) or prompt, *characters[1:]]))
    negative = ", ".join(filter(None, [to_text(comment.get("uc")), *unwanted[1:]]))
    kind = to_text(comment.get("request_type"))
    is_img2img = "Img2Img" in kind or "Infill" in kind
    model = re.fullmatch(r"(.{0,200}?)\s+([0-9A-F]{8})", source)
    rescale = values.number("cfg_rescale")
    others = ["character prompts"] if len(characters) > 1 else []
    others += [name for name in ("sm", "sm_dyn") if comment.get(name) is True]
    return ForeignRecord(
        tool="NovelAI",
        prompt=convert_weights(text),
        negative=convert_weights(negative),
        syntax=A1111,
        seed=values.whole("seed"),
        steps=values.whole("steps"),
        cfg_scale=values.number("scale"),
        sampler=values.text("sampler"),
        schedule=values.text("noise_schedule"),
        width=values.whole("width"),
        height=values.whole("height"),
        model=model[1] if model else source[:80],
        model_hash=model[2].lower() if model else "",
        cfg_rescale=rescale or None,
        strength=values.number("strength") if is_img2img else None,
        input_images=("input image",) if is_img2img else (),
        gpu_noise=True,
        unread=limit_names([*others, *values.names_left(_IGNORED)]),
    )


def _captions(value: object) -> list[str]:
    """The base caption, then those of characters."""
    caption = to_table(to_table(value).get("caption"))
    rows = iterate_tables(caption.get("char_captions"))
    return [
        to_text(caption.get("base_caption")),
        *(to_text(row.get("char_caption")) for row in rows),
    ]


def convert_weights(text: str) -> str:
    """`{stronger}`, `[weaker]` and `1.5::words::` as AUTOMATIC1111's `(words:1.05)`. Parentheses
    are ordinary characters there, so they are escaped. Unbalanced brackets stay as they are."""
    text = re.sub(r"(?<!\\)([()])", r"\\\1", text)
    text = re.sub(r"(-?[0-9]{0,4}\.?[0-9]{1,4})::([^:]{1,2000}?)::", r"(\2:\1)", text)
    for opening, closing, factor in (("{", "}", _STRONGER), ("[", "]", _WEAKER)):
        pattern = re.compile(rf"(\{opening}{{1,20}})([^{{}}\[\]]{{1,5000}})(\{closing}{{1,20}})")

        def weigh(match: re.Match[str], factor: float = factor) -> str:
            if len(match[1]) != len(match[3]):
                return match[0]
            return f"({match[2]}:{factor ** len(match[1]):.4g})"

        for _ in range(3):  # inside out
            text = pattern.sub(weigh, text)
    return text
