"""The line that comes nearest to another program's record, and what it does not carry, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from dream.core.plain_text import join_lines_of_text, remove_controls
from dream.core.request import FLAGS, Request
from dream.gallery.readers.record import A1111, INVOKEAI, PLAIN, ForeignRecord, to_number
from dream.line import quote, read_leniently
from dream.options.foreign_names import find_sampling
from dream.options.lora import MAX_LORAS, Hypernet, Lora
from dream.options.variations import Variation
from dream.session.foreign_models import NO_LOOKUP, ModelLookup
from dream.session.templates import protect_words

_NETWORK = re.compile(r"<(lora|lyco|hypernet):([^<>:]{1,200})(:[^<>]{0,60})?>", re.IGNORECASE)
_OTHER_NETWORK = re.compile(r"<\w{1,40}:[^<>]{1,200}>")
_COMMENT = re.compile(r"#[^\n]*")
_BRACKETS_MEAN_LESS = ("AUTOMATIC1111", "Forge", "Forge Neo", "SD.Next", "NovelAI", "dream")
"""Programs in whose prompts [words] weigh less; in others of that syntax they are words."""
_FORGE = ("Forge", "Forge Neo")
_DROP_NETWORKS = ("AUTOMATIC1111", *_FORGE)
"""Programs that ignore `<kind:…>` of a kind that they do not know."""
_COMMENTS_SINCE = (1, 8)
"""The version of AUTOMATIC1111 since which `#` begins a comment."""


class Nearest(NamedTuple):
    """The request that comes nearest to a record."""

    request: Request
    left_out: tuple[str, ...]
    """Names of what it does not carry, on one line each."""


def find_nearest(record: ForeignRecord, lookup: ModelLookup = NO_LOOKUP) -> Nearest:
    """The nearest request. A model that is not found here is left open. Raises nothing."""
    left_out: list[str] = []
    values: dict[str, Any] = {}
    for name, value in _values(record, lookup, left_out):
        if value is None or name not in FLAGS:
            continue
        kind = FLAGS[name].kind
        try:
            if kind.read(kind.write(value)) == value:
                values[name] = value
                continue
        except (TypeError, ValueError, AttributeError, OverflowError):
            pass
        left_out.append(f"{name} {value}")
    prompt = _prompt(record.prompt, record, left_out)
    negative = _prompt(record.negative, record, left_out)
    request = Request(prompt=prompt, negative=negative, **values)
    if record.tool == "dream":
        if record.switches:
            request = read_leniently(f"{quote(prompt)} {record.switches}", request)[0]
    else:
        left_out += record.unread
        left_out += record.input_images
        if record.gpu_noise and record.seed is not None:
            left_out.append("noise drawn on a GPU (the seed gives another image)")
    return Nearest(protect_words(request), tuple(dict.fromkeys(map(_clean, left_out))))


def format_left_out(record: ForeignRecord, nearest: Nearest) -> str:
    """A message: the program, and what is not carried over."""
    tool = _clean(f"{record.tool} {record.version}".strip())
    if not nearest.left_out:
        return f"made by {tool}"
    return f"made by {tool}; not carried over: {', '.join(nearest.left_out)}"


def _values(
    record: ForeignRecord, lookup: ModelLookup, left_out: list[str]
) -> Iterator[tuple[str, Any]]:
    """Fields and values, still unchecked."""
    sampling = find_sampling(record.sampler, record.schedule)
    left_out += sampling.unknown
    yield "sampler", sampling.sampler
    yield "schedule", sampling.schedule
    yield "steps", record.steps
    # The generator of the noise has 32 bits: larger seeds are taken modulo 2**32 there too.
    yield "seed", None if record.seed is None else record.seed % (1 << 32)
    yield "width", record.width
    yield "height", record.height
    yield "cfg_scale", record.cfg_scale
    yield "cfg_rescale", record.cfg_rescale
    yield "strength", record.strength
    yield "hires_fix", record.hires_strength
    yield "seamless", record.seamless or None
    if record.variation is not None:
        seed, weight = record.variation
        yield "with_variations", (Variation(seed % (1 << 32), weight),)
    if record.model:
        model = lookup.find_model(record.model, record.model_hash)
        if not model:
            left_out.append(f"model {record.model} (not found here)")
        yield "model", model or None
    if record.vae:
        vae = lookup.find_vae(record.vae)
        if not vae:
            left_out.append(f"VAE {record.vae} (not found here)")
        yield "vae", vae or None
    yield "lora", _loras(record, lookup, left_out)
    yield "hypernet", _hypernets(record, lookup, left_out)
    yield "weighting", record.weighting or None
    yield from _newer_fields(record, left_out)


def _newer_fields(record: ForeignRecord, left_out: list[str]) -> Iterator[tuple[str, Any]]:
    """What not every version of the table of switches has."""
    if record.syntax != PLAIN and record.tool != "dream":
        yield "syntax", record.syntax
    if "clip_skip" in FLAGS:
        yield "clip_skip", record.clip_skip
    elif record.clip_skip:
        left_out.append(f"clip skip {record.clip_skip}")


def _loras(
    record: ForeignRecord, lookup: ModelLookup, left_out: list[str]
) -> tuple[Lora, ...] | None:
    """Those of the record and, in AUTOMATIC1111's syntax, of the prompt that are here."""
    known: list[Lora] = [Lora(*lora) for lora in record.loras]
    known += (_parse_inline(name, weights) for name, weights in _find_inline(record, "lora"))
    digests = dict(record.lora_digests)
    here = []
    for lora in known[:MAX_LORAS]:
        if name := lookup.find_lora(lora.name, digests.get(lora.name, "")):
            here.append(lora._replace(name=name))
        else:
            left_out.append(f"LoRA {lora.name} {lora.weight:g} (not found here)")
    return tuple(here) or None


def _hypernets(
    record: ForeignRecord, lookup: ModelLookup, left_out: list[str]
) -> tuple[Hypernet, ...] | None:
    """Those in a prompt of AUTOMATIC1111's syntax that are here."""
    here = []
    for name, weights in list(_find_inline(record, "hypernet"))[:MAX_LORAS]:
        if found := lookup.find_hypernet(name):
            weight = to_number(weights.removeprefix(":"))
            here.append(Hypernet(found, 1.0 if weight is None else weight))
        else:
            left_out.append(f"hypernetwork {name} (not found here)")
    return tuple(here) or None


def _find_inline(record: ForeignRecord, kind: str) -> Iterator[tuple[str, str]]:
    """Names and weights of the networks of a kind that a prompt of AUTOMATIC1111's syntax has."""
    if record.syntax != A1111 or record.tool == "dream":
        return
    for match in _NETWORK.finditer(record.prompt):
        if (match[1].casefold() == "hypernet") == (kind == "hypernet"):
            yield match[2], match[3] or ""


def _parse_inline(name: str, weights: str) -> Lora:
    """`<lora:NAME:TEXT:UNET>`, with one weight for both, or named ones (`te=0.5:unet=0.8`)."""
    pairs = [part.partition("=") for part in weights.split(":") if part]
    named = {key.strip(): to_number(value) for key, equals, value in pairs if equals}
    plain = [to_number(key) for key, equals, _ in pairs if not equals]
    text = named.get("te", plain[0] if plain else None)
    weight = named.get("unet", plain[1] if len(plain) > 1 else text)
    weight = 1.0 if weight is None else weight
    return Lora(name, weight, None if text in (None, weight) else text)


def _prompt(text: str, record: ForeignRecord, left_out: list[str]) -> str:
    """The prompt in one line, for the syntax that the line has."""
    if record.tool == "dream":
        return _join_lines(text)
    if record.syntax == A1111:
        text = _remove_comments(text, record)
        words = _NETWORK.sub("", text)
        if record.tool in _DROP_NETWORKS:
            left_out += _OTHER_NETWORK.findall(words)
            words = _OTHER_NETWORK.sub("", words)
        text = text if words == text else re.sub(r"\s{2,}", " ", _join_lines(words)).strip(" ,")
    joined = _join_lines(text)
    keeps = "syntax" in FLAGS and record.tool in _BRACKETS_MEAN_LESS
    if not keeps and not (record.syntax == INVOKEAI and record.version.startswith("2")):
        joined = re.sub(r"(?<!\\)[\[\]]", r"\\\g<0>", joined)
    return joined


def _join_lines(text: str) -> str:
    parts = (part.strip() for part in re.split(r"[\r\n]+", text))  # in linear time
    return " ".join(filter(None, parts))


def _remove_comments(text: str, record: ForeignRecord) -> str:
    """The prompt without comments, which end with their line; where the program has none, `#` is
    a letter."""
    numbers = tuple(map(int, re.findall(r"\d{1,4}", record.version)[:2]))
    newer = record.tool == "AUTOMATIC1111" and numbers >= _COMMENTS_SINCE
    if newer or record.tool in _FORGE:
        return _COMMENT.sub("", text)
    return re.sub(r"(?<!\\)#", r"\\#", text)


def _clean(text: str) -> str:
    """A name for a message: one line, without controls, short."""
    return remove_controls(join_lines_of_text(text))[:100].strip()
