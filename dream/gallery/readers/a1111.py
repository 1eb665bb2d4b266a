"""AUTOMATIC1111's text: the prompt, the negative prompt, one line of `Key: value, …`.

Forge, SD.Next, stable-diffusion.cpp, Fooocus, many nodes of ComfyUI and Civitai write it too; the
keys `Version` and `App` say which program it was. PNG: text `parameters`; other formats: EXIF
UserComment; also a .txt file beside the image, and params.txt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress

from dream.core.bounded_reading import parse_json
from dream.gallery.containers.image_text import COMMENT, XMP, ImageText
from dream.gallery.readers.record import (
    A1111,
    ForeignRecord,
    Settings,
    parse_size,
    strip_suffix,
)
from dream.gallery.readers.xmp import find_element
from dream.options.syntax_table import NO_NORM

NEGATIVE = "Negative prompt:"
_PAIR = re.compile(
    r'(?<![^,])\s*+(\w[\w \-/]{1,60}):\s*+("(?:\\.|[^\\"])++"(?=\s*(?:,|$))|[^,]*+)(?:,|$)'
)
"""AUTOMATIC1111's own pattern, but only at the beginning and behind commas, where pairs are: so it
takes one pass."""
_PARAMETERS = re.compile(r"(?m)^\s{0,8}Steps: {0,8}[0-9]+,")
_ONE_LINE = re.compile(r"\s(Steps: {0,8}[0-9]+, {0,8}[A-Z][\w ]{1,30}: )")
"""Where the last line begins in a text whose line breaks are lost."""
_BLOCKS = re.compile(r",? ?(Hashes|Civitai resources|Civitai metadata|SDCPP): (?=[\[{])")
"""Unquoted JSON in the last line. SDCPP repeats the prompt, so it must not be searched for keys."""
_LEAST_PAIRS = 3
_MOST_PAIRS = 500
_LONGEST_LINE = 1 << 20

_TOOLS = (
    ("stable-diffusion.cpp", "stable-diffusion.cpp"),
    ("ComfyUI", "ComfyUI"),
    ("Fooocus", "Fooocus"),
    ("Draw Things", "Draw Things"),
    ("dream", "dream"),
    ("neo", "Forge Neo"),
    ("f", "Forge"),
    ("v1.", "AUTOMATIC1111"),
)
"""How the value of `Version` begins, and the program."""

_IGNORED = (
    *(
        "Version",
        "User",
        "Created Date",
        "Template",
        "Negative Template",
        "TI hashes",
    ),
    *("TI", "VAE hash", "Init image hash", "Batch size", "Batch pos", "Operations", "Pipeline"),
    *("Parser", "Backend", "Time", "Face restoration model", "Hires steps", "Hires prompt"),
    *("Pad conds", "App", "Script", "Styles", "Hires checkpoint"),
)
"""Keys that change nothing, or that another key says already."""

_WEIGHTINGS = {"no norm": NO_NORM}
_NO_WEIGHTS = ("none", "ignore")
"""Values of `Emphasis`, beside the default: see `options.syntax_table`."""


def read_a1111(image: ImageText) -> ForeignRecord | None:
    """The record of an image, wherever such text is in it."""
    comment = image.texts.get(COMMENT, "")
    for text in (
        image.texts.get("parameters", ""),
        image.texts.get("EXIF UserComment", ""),
        comment.removeprefix("parameters\0"),
        find_element(image.texts.get(XMP, ""), "sdcpp:parameters"),
    ):
        if text and (record := parse_parameters(text)):
            return record
    return None


def parse_parameters(text: str) -> ForeignRecord | None:
    """The record in a text in this form; None if it is none."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")
    for index in range(len(lines) - 1, max(-1, len(lines) - 20), -1):
        pairs = _read_pairs(lines[index])
        if len(pairs) >= _LEAST_PAIRS and ("Steps" in pairs or "Seed" in pairs):
            prompt, negative = _split(lines[:index])
            return _make_record(prompt, negative, pairs)
    return None


def parse_fields(text: str) -> dict[str, str]:
    """The keys and values of such a text as AUTOMATIC1111 names them, with `Prompt`, `Negative
    prompt`, `Size-1` and `Size-2`; empty if it is none."""
    lines = text.strip().split("\n")
    pairs = _read_pairs(lines[-1])
    if len(pairs) < _LEAST_PAIRS:
        return {}
    prompt, negative = _split(lines[:-1])
    width, height = parse_size(pairs.get("Size", ""))
    size = {"Size-1": str(width), "Size-2": str(height)} if width and height else {}
    return {"Prompt": prompt, "Negative prompt": negative, **pairs, **size}


def is_parameters_line(line: str) -> bool:
    """Whether a line is the last one of such a text: `Steps: 20, Sampler: Euler a, …`."""
    return bool(_PARAMETERS.match(line)) and len(_read_pairs(line)) >= _LEAST_PAIRS


def restore_line_breaks(text: str) -> str:
    """Such a text that was pasted as one line, with the breaks that it had before its negative
    prompt and its last line; any other text as it is."""
    begins = None if "\n" in text else _ONE_LINE.search(text)
    if begins is None or not is_parameters_line(text[begins.start(1) :]):
        return text
    prompt, found, negative = text[: begins.start()].partition(NEGATIVE)
    words = f"{prompt.rstrip()}\n{found}{negative}" if found else prompt
    return f"{words}\n{text[begins.start(1) :]}"


def _split(lines: list[str]) -> tuple[str, str]:
    at = next((n for n, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    negative = "\n".join(lines[at:]).removeprefix(NEGATIVE)
    return "\n".join(lines[:at]).strip(), negative.strip()


def _read_pairs(line: str) -> dict[str, str]:
    """The keys and values of a line; the first of a key counts."""
    if len(line) > _LONGEST_LINE:
        return {}
    pairs: dict[str, str] = {}
    for key, value in _iterate_pairs(_cut_blocks(line)):
        pairs.setdefault(key, value)
        if len(pairs) > _MOST_PAIRS:
            break
    return pairs


def _iterate_pairs(line: str) -> Iterator[tuple[str, str]]:
    for match in _PAIR.finditer(line):
        value = match[2].strip()
        if value.startswith('"'):
            with suppress(ValueError):
                read = parse_json(value)
                value = read if isinstance(read, str) else value
        yield match[1].strip(), value


def _cut_blocks(line: str) -> str:
    """The line without unquoted JSON."""
    for _ in range(4):
        match = _BLOCKS.search(line)
        if match is None:
            break
        try:
            _, end = json.JSONDecoder().raw_decode(line, match.end())
        except (ValueError, RecursionError):
            end = len(line)
        line = line[: match.start()] + line[end:]
    return line


def _find_tool(pairs: Settings) -> tuple[str, str]:
    version, app = pairs.text("Version"), pairs.text("App")
    if app:
        return app[:40], version
    for start, tool in _TOOLS:
        if version.startswith(start):
            return tool, version.removeprefix(tool).strip()
    return "AUTOMATIC1111", version


def _make_record(prompt: str, negative: str, values: dict[str, str]) -> ForeignRecord:
    pairs = Settings(values)
    tool, version = _find_tool(pairs)
    width, height = parse_size(pairs.text("Size"))
    strength = pairs.number("Denoising strength")
    hires, (width, height) = _read_hires(pairs, width, height)
    rng = pairs.text("RNG").casefold()
    variation = pairs.whole("Variation seed"), pairs.number("Variation seed strength")
    rescale = pairs.number("CFG Rescale", "CFG Rescale phi", "CFG rescale")
    clip_skip = pairs.whole("Clip skip")
    emphasis = pairs.text("Emphasis")
    inputs = () if strength is None or hires else ("input image",)
    if "Mask blur" in values or "Masked content" in values or "Mask mode" in values:
        inputs = (*inputs, "mask")
    return ForeignRecord(
        tool=tool,
        version=version,
        prompt=prompt,
        negative=negative,
        syntax=A1111,
        seed=pairs.whole("Seed"),
        steps=pairs.whole("Steps"),
        cfg_scale=pairs.number("CFG scale"),
        sampler=pairs.text("Sampler"),
        schedule=pairs.text("Schedule type", "Scheduler"),
        width=width,
        height=height,
        model=strip_suffix(pairs.text("Model")),
        model_hash=pairs.text("Model hash"),
        vae=_without_none(pairs.text("VAE")),
        clip_skip=clip_skip if clip_skip != 1 else None,
        weighting=_WEIGHTINGS.get(emphasis.casefold(), ""),
        lora_digests=tuple(_read_digests(pairs.text("Lora hashes"))),
        strength=None if hires else strength,
        hires_strength=strength if hires else None,
        variation=(variation[0], variation[1])
        if variation[0] is not None and variation[1]
        else None,
        seamless=pairs.text("Tiling") == "True",
        cfg_rescale=rescale or None,
        input_images=inputs,
        gpu_noise=rng != "cpu" and tool != "ComfyUI",
        switches=pairs.text("Dream"),
        unread=(
            *((f"Emphasis {emphasis}",) if emphasis.casefold() in _NO_WEIGHTS else ()),
            *pairs.names_left((*_IGNORED, "Mask blur", "Masked content", "Mask mode")),
        ),
    )


def _read_digests(text: str) -> Iterator[tuple[str, str]]:
    """The pairs of `ink: 0123456789ab, other: …`."""
    for pair in text.split(",")[:_MOST_PAIRS]:
        name, _, digest = pair.rpartition(":")
        if name.strip() and (digits := read_hex(digest)):
            yield name.strip(), digits


def _read_hires(
    pairs: Settings, width: int | None, height: int | None
) -> tuple[bool, tuple[int | None, int | None]]:
    """Whether there was a second pass, and the size of the finished image. `Size` is that of the
    first pass."""
    scale, (wide, high) = pairs.number("Hires upscale"), parse_size(pairs.text("Hires resize"))
    if wide or high:
        return True, (wide or width, high or height)
    if scale and width and height and 0 < scale <= 16:
        return True, (round(width * scale), round(height * scale))
    return scale is not None, (width, height)


def _without_none(name: str) -> str:
    return "" if name.casefold() in ("none", "automatic") else strip_suffix(name)


def read_hex(text: str) -> str:
    """A hash's hex digits in lower case, without what stands before them."""
    match = re.search(r"(?:0x)?([0-9a-fA-F]{6,64})$", text.strip())
    return match[1].lower() if match else ""
