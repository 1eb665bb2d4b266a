"""Reads what a client of OpenAI's API wants, as a Request.

A prompt is taken word by word, since language models write them: brackets and signs mean nothing,
unless the client names a `syntax`. Fields that other servers of this API added are known too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dream.core.request import FLAGS, Request
from dream.options.syntax_table import INVOKEAI, OFF
from dream.prompt import escape_text
from dream.session import Session
from dream.web.added_switches import apply_switches
from dream.web.client_values import ClientValues, get_client_defaults
from dream.web.refusal import Refusal
from dream.web.sdapi.model_titles import find_model

MAX_IMAGES = 10
MAX_PARTIAL = 3
_ANY_MODEL = ("gpt-image", "chatgpt-image", "dall-e", "stablediffusion", "stable-diffusion")
"""Names that clients have built in and whose users cannot change them: the default model."""
_SIZE = re.compile(r"([0-9]{1,5})[xX×]([0-9]{1,5})")
_FORMATS = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}
"""Theirs, and ours."""
_QUALITIES = ("auto", "standard", "medium")
_JSON, _URL = "b64_json", "url"
_VARIATION = 0.6
"""Strength of a variation of an image that dream did not make."""


class ModelNotFound(Refusal):
    """The client names a model that is not here."""

    def __init__(self, name: str) -> None:
        super().__init__(404, f"the model {name[:100]!a} does not exist", hint="see /v1/models")


@dataclass(frozen=True)
class WantedImages:
    """What one call wants."""

    request: Request
    answers_url: bool
    streams: bool
    partial_images: int
    """Unfinished images that are sent of each image, at most."""
    format: str
    """The client's name of the file format."""
    notes: tuple[str, ...]


def read_generation(session: Session, body: Mapping[str, Any]) -> WantedImages:
    """What POST generations wants. Raises Refusal, BadLine."""
    values = ClientValues(body)
    if not values.text("prompt"):
        raise Refusal(400, "“prompt” is missing")
    return _read(session, values, fit=False)


def read_edit(
    session: Session, body: Mapping[str, Any], images: Sequence[str], mask: str
) -> WantedImages:
    """What POST edits wants of images and maybe a mask, by their handles. Of several images, those
    that the model does not take are left out, with a note. Raises as above."""
    values = ClientValues(body)
    if not values.text("prompt"):
        raise Refusal(400, "“prompt” is missing")
    wanted = _read(session, values, fit=True)
    model = wanted.request.model or session.registry.get_default_model()
    taken = max(1, session.registry.get_model(model).references) if len(images) > 1 else 1
    notes = wanted.notes
    if len(images) > taken:
        which = "the first image was" if taken == 1 else f"the first {taken} images were"
        notes = (*notes, f"only {which} used")
    request = replace(
        wanted.request,
        init_img=images[0],
        init_mask=mask or None,
        reference=tuple(images[1:taken]) or None,
    )
    return replace(wanted, request=request, notes=notes)


def read_variation(
    session: Session, body: Mapping[str, Any], image: str, own: Request | None
) -> WantedImages:
    """What POST variations wants of an image: if dream made it, by the request `own`, images with
    similar noise; else changed images. Raises as above."""
    values = ClientValues(body)
    wanted = _read(session, values, fit=True)
    request = wanted.request
    if own is None:
        strength = request.strength or _VARIATION
        request = replace(request, init_img=image, strength=strength)
    else:
        amount = request.variation_amount or 0.2
        kept = ("iterations", "format", "quality", "outdir", "prompt_as_dir", "fnformat")
        fields = {name: getattr(request, name) for name in (*kept, "metadata", "png_compression")}
        request = replace(own, variation_amount=amount, **fields)
    return replace(wanted, request=request)


def resolve_model(session: Session, name: str) -> str | None:
    """The model that a client's name means; None is the default one. Raises ModelNotFound."""
    if not name:
        return None
    if (found := find_model(session.registry, name)) is not None:
        return found
    if name.lower().startswith(_ANY_MODEL):
        return None
    raise ModelNotFound(name)


def _read(session: Session, values: ClientValues, *, fit: bool) -> WantedImages:
    model = resolve_model(session, values.text("model"))
    fields = get_client_defaults(session.base)
    if model is not None:
        fields["model"] = model
    if size := _read_size(values.text("size")):
        fields |= {"width": size[0], "height": size[1], "fit": fit}
    elif fit:
        fields |= {"width": None, "height": None}  # those of the image
    fields |= {name: value for name, value in _read_extensions(values).items() if value is not None}
    count = values.whole("n") or 1
    if not 0 < count <= MAX_IMAGES:
        raise Refusal(400, f"“n” has to be from 1 to {MAX_IMAGES}")
    format_name = values.text("output_format").lower() or "png"
    if format_name not in _FORMATS:
        raise Refusal(400, "“output_format” has to be png, jpeg or webp")
    compression = values.whole("output_compression")
    if compression is not None:
        fields["quality"] = min(max(compression, 1), 100)
    _note_ignored(values)
    request = Request(
        **_read_prompt(values), iterations=count, format=_FORMATS[format_name], **fields
    )
    form = values.text("response_format").lower() or _JSON
    if form not in (_JSON, _URL):
        raise Refusal(400, "“response_format” has to be b64_json or url")
    return WantedImages(
        request=apply_switches(request, values.text("line")),
        answers_url=form == _URL,
        streams=values.truth("stream"),
        partial_images=min(max(values.whole("partial_images") or 0, 0), MAX_PARTIAL),
        format="jpeg" if format_name == "jpg" else format_name,
        notes=tuple(values.notes),
    )


def _read_prompt(values: ClientValues) -> dict[str, Any]:
    prompt, negative = values.text("prompt"), values.text("negative_prompt")
    if syntax := values.text("syntax"):
        return {"prompt": prompt, "negative": negative, "syntax": syntax}
    return {
        "prompt": escape_text(prompt, INVOKEAI),
        "negative": escape_text(negative, INVOKEAI),
        "syntax": INVOKEAI,
        "wildcards": OFF,
    }


def _read_extensions(values: ClientValues) -> dict[str, Any]:
    """Fields of vLLM-Omni's and LocalAI's servers, and dream's own."""
    seed = values.whole("seed")
    steps = values.whole("num_inference_steps")
    cfg_scale = values.number("guidance_scale")
    fields: dict[str, Any] = {
        "seed": None if seed is None or seed < 0 else seed,
        "steps": values.whole("steps") or values.whole("step") if steps is None else steps,
        "cfg_scale": values.number("cfg_scale") if cfg_scale is None else max(cfg_scale, 1.0),
        "strength": values.number("strength"),
    }
    for name in ("sampler", "schedule"):
        fields[name] = values.text(name) or None
    assert fields.keys() <= FLAGS.keys()
    return fields


def _read_size(text: str) -> tuple[int, int] | None:
    if text.lower() in ("", "auto"):
        return None
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise Refusal(400, "“size” has to be WIDTHxHEIGHT or auto")
    return int(match[1]), int(match[2])


def _note_ignored(values: ClientValues) -> None:
    values.note_ignored(("quality",), _QUALITIES)
    values.note_ignored(("background",), ("auto", "opaque"))
    values.note_ignored(("style", "svg", "complexity", "frame_count", "input_fidelity"))
