"""Reads what POST img2img wants besides a prompt: the input image, the mask, and what is under
it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dream.web.client_values import ClientValues, decode_base64
from dream.web.refusal import Refusal
from dream.web.sdapi.input_pictures import (
    FILL,
    STRETCH,
    encode_png,
    fill_painted,
    grey_painted,
    make_mask_file,
    read_painted,
    read_picture,
)
from dream.web.sdapi.read_wanted import INVALID, WantedCall

_STRENGTH = 0.75
_FILL, _ORIGINAL, _NOISE, _NOTHING = 0, 1, 2, 3
_UNSUPPORTED = ("latent_mask", "image_cfg_scale", "inpainting_mask_weight")
_MOST_BLUR = 64
_LEAST_STRENGTH = 0.01
"""0 leaves the image as it is; we have no such strength."""


@dataclass(frozen=True)
class PreparedImages:
    """Files that a request needs, not kept yet."""

    image: bytes
    mask: bytes | None
    fields: Mapping[str, Any]
    """What else the request has."""
    notes: tuple[str, ...]


def prepare_images(wanted: WantedCall, body: Mapping[str, Any]) -> PreparedImages:
    """The input image and the mask as dream takes them. Decodes and resizes, so call it in a
    thread. Raises Refusal, InputError."""
    values = ClientValues(body, INVALID)
    images = values.items("init_images")
    if not images:
        raise Refusal(404, "Init image not found", hint="init_images needs an image in base64")
    mode = values.whole("resize_mode") or STRETCH
    size = _read_size(wanted)
    image = read_picture(_decode(images[0], "init_images"), size, min(mode, FILL + 1))
    if len(images) > 1:
        values.notes.append("only the first of init_images was used")
    if mode > FILL:
        values.notes.append("resize_mode 3 stretches the image, not its latents")
    values.note_ignored(_UNSUPPORTED, (1.0, 1, 1.5))
    multiplier = values.number("initial_noise_multiplier")
    if multiplier not in (None, 1):
        values.ignore("initial_noise_multiplier")
    strength = values.number("denoising_strength")
    fields: dict[str, Any] = {
        "strength": _STRENGTH if strength is None else max(strength, _LEAST_STRENGTH)
    }
    mask = None
    if values.text("mask"):
        data = _decode(values.text("mask"), "mask")
        invert = (values.whole("inpainting_mask_invert") or 0) == 1
        painted = read_painted(data, image.size, mode, invert)
        content = values.whole("inpainting_fill") or _FILL
        blur = fields["mask_blur"] = min(_read_blur(values), _MOST_BLUR)
        if content == _FILL:
            image = fill_painted(image, painted, blur)
        elif content == _NOISE:
            fields["inpaint_replace"] = 1.0
        elif content == _NOTHING:
            image = grey_painted(image, painted, blur)
        if values.truth("inpaint_full_res"):
            values.notes.append(
                "inpaint_full_res is not supported: the whole image is generated at its size"
            )
        mask = make_mask_file(painted)
    elif values.whole("inpainting_mask_invert"):
        values.ignore("inpainting_mask_invert")
    return PreparedImages(encode_png(image), mask, fields, tuple(values.notes))


def with_images(
    wanted: WantedCall, prepared: PreparedImages, image: str, mask: str | None
) -> WantedCall:
    """What is wanted, with the handles of the images."""
    first = replace(wanted.first, init_img=image, init_mask=mask, **prepared.fields)
    return replace(wanted, first=first, notes=(*wanted.notes, *prepared.notes))


def _read_size(wanted: WantedCall) -> tuple[int, int] | None:
    first = wanted.first
    return (first.width, first.height) if first.width and first.height else None


def _read_blur(values: ClientValues) -> int:
    sides = [values.whole(name) for name in ("mask_blur_x", "mask_blur_y") if name in values]
    both = values.whole("mask_blur")
    blur = both if both is not None else max([side for side in sides if side is not None] or [4])
    if any(side not in (None, blur, 4) for side in sides):
        values.notes.append(f"mask_blur is {blur} in both directions")
    return max(0, blur)


def _decode(value: object, name: str) -> bytes:
    if not isinstance(value, str):
        raise Refusal(INVALID, f"“{name}” has to be an image in base64")
    return decode_base64(value, name, INVALID)
