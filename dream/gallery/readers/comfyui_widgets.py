"""The values that ComfyUI's editor lists for a node without names."""

from __future__ import annotations

from collections.abc import Mapping

from dream.gallery.readers.record import iterate_tables, to_list, to_table

_CONTROLS = ("fixed", "increment", "decrement", "randomize", "increment-wrap")
"""What follows a number: how the editor changes it after each run."""
_KSAMPLER = ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise")
_SIZE = ("width", "height", "batch_size")
_WIDGETS: Mapping[str, tuple[str, ...]] = {
    "KSampler": _KSAMPLER,
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "cfg"),
    "RandomNoise": ("noise_seed",),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "SDTurboScheduler": ("steps", "denoise"),
    "KarrasScheduler": ("steps", "sigma_max", "sigma_min", "rho"),
    "ExponentialScheduler": ("steps", "sigma_max", "sigma_min"),
    "BetaSamplingScheduler": ("steps", "alpha", "beta"),
    "AlignYourStepsScheduler": ("model_type", "steps", "denoise"),
    "Flux2Scheduler": ("steps", "width", "height"),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": (
        *("width", "height", "crop_w", "crop_h", "target_width", "target_height"),
        *("text_g", "text_l"),
    ),
    "CLIPTextEncodeSDXLRefiner": ("ascore", "width", "height", "text"),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CLIPTextEncodeSD3": ("clip_l", "clip_g", "t5xxl", "empty_padding"),
    "CheckpointLoader": ("config_name", "ckpt_name"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
    "UnetLoaderGGUF": ("unet_name",),
    "VAELoader": ("vae_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "EmptyLatentImage": _SIZE,
    "EmptySD3LatentImage": _SIZE,
    "EmptyFlux2LatentImage": _SIZE,
    "EmptyHunyuanImageLatent": _SIZE,
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "ImageScale": ("upscale_method", "width", "height", "crop"),
    "ImageScaleBy": ("upscale_method", "scale_by"),
    "LoadImage": ("image",),
    "PrimitiveNode": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveFloat": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "StringConcatenate": ("string_a", "string_b", "delimiter"),
    "Seed (rgthree)": ("seed",),
}
"""The names of the values by node, for files whose inputs do not name them."""


def read_widgets(node: Mapping[str, object]) -> dict[str, object]:
    """The values of a node of the editor by name; those whose name is not known are left out."""
    values = node.get("widgets_values")
    if isinstance(values, dict):
        return dict(values)
    if node.get("type") == "Power Lora Loader (rgthree)":
        rows = [row for row in iterate_tables(values) if "lora" in row]
        return {f"lora_{number}": row for number, row in enumerate(rows, 1)}
    plain = _without_controls(to_list(values))
    # Since 2025 each value has an input of its own, with its name; before, only those with a link.
    widgets = (to_table(slot.get("widget")) for slot in iterate_tables(node.get("inputs")))
    named = tuple(str(widget["name"]) for widget in widgets if "name" in widget)
    names = named if len(named) == len(plain) else _WIDGETS.get(str(node.get("type")), ())
    if not names and len(plain) == 1:
        names = ("value",)
    return dict(zip(names, plain, strict=False))


def _without_controls(values: list[object]) -> list[object]:
    kept: list[object] = []
    for value in values:
        follows = bool(kept) and isinstance(kept[-1], int | float)
        if not (follows and isinstance(value, str) and value in _CONTROLS):
            kept.append(value)
    return kept
