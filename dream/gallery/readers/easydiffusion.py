"""Easy Diffusion: a PNG text for each setting, JSON in EXIF UserComment, or a .json or .txt file
beside the image."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dream.core.bounded_reading import parse_json
from dream.gallery.containers.image_text import ImageText
from dream.gallery.readers.record import (
    A1111,
    ForeignLora,
    ForeignRecord,
    Settings,
    limit_names,
    parse_table,
    strip_suffix,
    to_list,
    to_text,
    to_weight,
)

_LABELS = {
    "Prompt": "prompt",
    "Negative Prompt": "negative_prompt",
    "Seed": "seed",
    "Steps": "num_inference_steps",
    "Guidance Scale": "guidance_scale",
    "Prompt Strength": "prompt_strength",
    "Sampler": "sampler_name",
    "Width": "width",
    "Height": "height",
    "Stable Diffusion model": "use_stable_diffusion_model",
    "Clip Skip": "clip_skip",
    "VAE model": "use_vae_model",
    "Hypernetwork model": "use_hypernetwork_model",
    "Hypernetwork Strength": "hypernetwork_strength",
    "LoRA model": "use_lora_model",
    "LoRA Strength": "lora_alpha",
    "Use Face Correction": "use_face_correction",
    "Use Upscaling": "use_upscale",
    "Scheduler": "scheduler_name",
    "Seamless Tiling": "tiling",
    "Latent Upscaler Steps": "latent_upscaler_steps",
    "Control Image": "control_image",
    "ControlNet model": "use_controlnet_model",
    "Init Image": "init_image",
}
"""The labels of the .txt file, and the keys of the other forms."""
_IGNORED = ("hypernetwork_strength", "prompt_strength", "num_outputs", "stream_image_progress")


def read_easydiffusion(image: ImageText) -> ForeignRecord | None:
    """The record of an image of Easy Diffusion."""
    comment = parse_table(image.texts.get("EXIF UserComment", ""))
    return read_easydiffusion_json(image.texts) or read_easydiffusion_json(comment)


def read_easydiffusion_text(text: str) -> ForeignRecord | None:
    """The record of a .txt file: `Label: value` lines."""
    rows = re.findall(r"(?m)^([A-Z][A-Za-z ]{2,30}): ?(.*)$", text)
    return read_easydiffusion_json(
        {_LABELS[label]: value for label, value in rows if label in _LABELS}
    )


def read_easydiffusion_json(table: Mapping[str, object]) -> ForeignRecord | None:
    """The record of its keys or, in older versions, labels."""
    if "num_inference_steps" not in table and "guidance_scale" not in table:
        if not {"Steps", "Guidance Scale"} <= table.keys():
            return None
        table = {_LABELS.get(name, name): value for name, value in table.items()}
    if "prompt" not in table:
        return None
    values = Settings({name: _without_none(value) for name, value in table.items()})
    loras, weights = values.take("use_lora_model"), values.take("lora_alpha")
    names, numbers = _as_list(loras), _as_list(weights)
    strength = values.number("prompt_strength")
    inputs = ("input image",) if values.take("init_image", "init_image_path") else ()
    tiling = values.text("tiling")
    model = values.text("use_stable_diffusion_model")
    known = set(_LABELS.values())
    return ForeignRecord(
        tool="Easy Diffusion",
        prompt=values.text("prompt"),
        negative=values.text("negative_prompt"),
        syntax=A1111,
        seed=values.whole("seed"),
        steps=values.whole("num_inference_steps"),
        cfg_scale=values.number("guidance_scale"),
        sampler=values.text("sampler_name"),
        schedule=values.text("scheduler_name"),
        width=values.whole("width"),
        height=values.whole("height"),
        model=strip_suffix(model),
        vae=strip_suffix(values.text("use_vae_model")),
        clip_skip=2 if values.take("clip_skip") in (True, "True", "true") else None,
        loras=tuple(
            ForeignLora(strip_suffix(name), to_weight(weight))
            for name, weight in zip(names, [*numbers, *[1.0] * len(names)], strict=False)
            if name
        ),
        strength=strength if inputs else None,
        seamless=bool(tiling),
        input_images=inputs,
        unread=limit_names(
            name for name in values.names_left(_IGNORED) if name in known or name.startswith("use_")
        ),
    )


def _without_none(value: object) -> object:
    return None if value in ("None", "none", "") else value


def _as_list(value: object) -> list[str]:
    """One name or several; PNG texts have a list as text."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = parse_json(value.replace("'", '"'))
        except ValueError:
            return []
    return [to_text(one) for one in to_list(value)][:100] or ([to_text(value)] if value else [])
