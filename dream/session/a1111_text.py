"""Writes a request as AUTOMATIC1111's text, for other programs to show and to read.

What its grammar has no place for is in the key `Dream`, as switches, so that the text reads back as
the same request.
https://github.com/AUTOMATIC1111/stable-diffusion-webui, modules/processing.py, create_infotext
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from dream import __version__
from dream.core.plain_text import remove_controls
from dream.core.request import FLAGS, Request
from dream.gallery.readers.a1111 import parse_parameters
from dream.line import format_changes
from dream.options.foreign_names import A1111_SAMPLERS, A1111_SCHEDULES
from dream.options.lora import Lora
from dream.options.option_type import format_number
from dream.options.syntax_table import A1111, NO_NORM
from dream.prompt import PromptError, convert_to_a1111, parse_prompt, split_negative
from dream.session.foreign_lines import find_nearest
from dream.session.foreign_models import ModelLookup

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"')
_MARK = re.compile(r"(?<!\\)[:,]")
"""What simple readers split the last line at: they would find keys in a quoted prompt."""


class _AnyModel(ModelLookup):
    """Finds every model and VAE by the name that the text has."""

    def __init__(self) -> None:
        super().__init__(None)

    def find_model(self, name: str, digest: str) -> str:
        return name

    def find_vae(self, name: str) -> str:
        return name


def format_a1111(request: Request, weights: str = "") -> str:
    """The text of a resolved request. `weights` is the SHA-256 of the model's files, or empty."""
    pairs = dict(_pairs(request, weights))
    plain = _format(request, pairs)
    record = parse_parameters(plain)
    nearest = find_nearest(record, _AnyModel()).request if record else Request()
    # Values about files (-o, --format) are none of the image's.
    own = {name: getattr(request, name) for name, flag in FLAGS.items() if flag.affects_image}
    if switches := format_changes(own, nearest):
        pairs["Dream"] = _QUOTED.sub(lambda part: _MARK.sub(_escape, part[0]), switches)
    return _format(request, pairs)


def _format(request: Request, pairs: dict[str, str]) -> str:
    prompt, negative = map(_clean, _convert_prompt(request))
    inline = [_format_lora(Lora(*lora)) for lora in request.lora or ()]
    prompt = " ".join(filter(None, (prompt, *inline)))
    version = {"Version": f"dream {__version__}"}
    last = ", ".join(f"{key}: {_quote(value)}" for key, value in (pairs | version).items())
    avoided = f"Negative prompt: {negative}" if negative else ""
    return "\n".join(filter(None, (prompt, avoided, last)))


def _convert_prompt(request: Request) -> tuple[str, str]:
    """Both sides of the prompt in AUTOMATIC1111's syntax, as far as it has words for them."""
    if request.syntax == A1111:
        return request.prompt, request.negative
    split = split_negative(request.prompt, request.negative)
    if request.syntax is None:
        return split
    try:
        parsed = parse_prompt(request.prompt, request.negative, request.syntax)
    except PromptError:
        return split
    sides = (parsed.positive, parsed.negative)
    converted = [
        text if (text := convert_to_a1111(side)) is not None else words
        for side, words in zip(sides, split, strict=True)
    ]
    return converted[0], converted[1]


def _clean(text: str) -> str:
    """The text without control characters, of which only line breaks are left."""
    return "\n".join(map(remove_controls, text.split("\n")))


def _escape(mark: re.Match[str]) -> str:
    """A character as our lines have it inside quotes."""
    return f"\\u{{{ord(mark[0]):x}}}"


def _format_lora(lora: Lora) -> str:
    """As AUTOMATIC1111 has it in prompts: the text encoder's weight comes first."""
    weights = [lora.weight] if lora.text_weight is None else [lora.text_weight, lora.weight]
    return f"<lora:{':'.join([Path(lora.name).stem, *map(format_number, weights)])}>"


def _quote(value: str) -> str:
    needed = any(mark in value for mark in ",:\n\r") or value.startswith('"')
    return json.dumps(value, ensure_ascii=False) if needed else value


def _pairs(request: Request, weights: str) -> Iterator[tuple[str, str]]:
    """Keys and values in AUTOMATIC1111's order."""
    if request.steps is not None:
        yield "Steps", str(request.steps)
    if request.sampler is not None:
        yield "Sampler", A1111_SAMPLERS.get(request.sampler, request.sampler)
    if request.schedule is not None:
        yield "Schedule type", A1111_SCHEDULES.get(request.schedule, request.schedule)
    if request.cfg_scale is not None:
        yield "CFG scale", format_number(request.cfg_scale)
    if request.seed is not None:
        yield "Seed", str(request.seed)
    if request.width and request.height:
        yield "Size", f"{request.width}x{request.height}"
    if weights:
        yield "Model hash", weights[:10]
    if request.model and not request.model.startswith(("/", "~")):
        yield "Model", request.model
    if request.vae and not request.vae.startswith(("/", "~")):
        yield "VAE", request.vae
    if request.with_variations and len(request.with_variations) == 1:
        seed, weight = request.with_variations[0]
        yield "Variation seed", str(seed)
        yield "Variation seed strength", format_number(weight)
    if request.strength is not None and request.init_img:
        yield "Denoising strength", format_number(request.strength)
    if clip_skip := getattr(request, "clip_skip", None):
        yield "Clip skip", str(clip_skip)
    if request.weighting == NO_NORM:
        yield "Emphasis", "No norm"
    yield "RNG", "CPU"
    if request.seamless:
        yield "Tiling", "True"
    if request.cfg_rescale:
        yield "CFG Rescale", format_number(request.cfg_rescale)
