"""A model's folder, in diffusers layout: what its configuration and its card.toml say of it. And
a single file, which says it by its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dream.catalogue.cards import ModelCard, PreviewMap
from dream.catalogue.entries import Complain, checked, read_toml
from dream.catalogue.found import INDEX, UPSCALER
from dream.errors import ModelError
from dream.flags import Kind
from dream.request import FLAGS

_FAMILIES = {
    "StableDiffusionXL": "sdxl",
    "StableDiffusion3": "sd3",
    "StableDiffusion": "sd1",
    "Flux": "flux",
}
"""What a pipeline's class name starts with; the longer names first."""

_CHANNELS = {9: "inpainting", 5: "depth"}
"""What a denoiser takes beside four channels of latents: a mask and a masked picture; a depth."""
_SD2_TEXT_WIDTH = 1024
_FACTOR = 8
"""Pixels per latent, where the VAE's configuration does not say."""
_DEEPEST = 9
"""Levels of a VAE: 256 pixels per latent."""
_HOME = {"sdxl": 1024, "sd3": 1024, "flux": 1024}
_GUIDANCE = {"sdxl": 5.0, "sd3": 7.0, "flux": 3.5}
"""diffusers' own defaults, where they are not Stable Diffusion 1's 7.5."""


def read_model(name: str, path: Path, complain: Complain) -> ModelCard:
    """The card of the model in a folder or a single file. Raises ModelError when it is none."""
    return read_file(name, path) if path.is_file() else read_folder(name, path, complain)


def read_file(name: str, path: Path) -> ModelCard:
    """The card of a single file, from its header. Raises ModelError, which says what it is
    instead, and where that belongs."""
    # A shelf of folders alone, as most have at first, does without.
    from dream.catalogue.recognise import wanted_model

    found = wanted_model(path)
    width, height = found.size
    return ModelCard(
        name=name,
        path=path,
        family=found.family,
        variant=found.variant,
        width=width,
        height=height,
        cfg_scale=_GUIDANCE.get(found.family, ModelCard.cfg_scale),
        averages=found.ema,
    )


def read_folder(name: str, folder: Path, complain: Complain) -> ModelCard:
    """The card of the model in `folder`. Raises ModelError when there is no model in it."""
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder} is no model in diffusers layout: it has no {INDEX}")
    card = _derived(name, folder)
    path = folder / "card.toml"
    table = read_toml(path, complain)
    preview = table.pop("preview", None)
    card = replace(card, **checked(table, str(path), complain))
    return card if preview is None else replace(card, preview=_preview(preview, path, complain))


def _derived(name: str, folder: Path) -> ModelCard:
    index = _read_json(folder / INDEX)
    if index.get("_class_name") == UPSCALER:
        raise ModelError(f"{folder} enlarges pictures, and paints none", "-U4 --upscaler names it")
    net = _read_json(folder / "unet" / "config.json", folder / "transformer" / "config.json")
    vae = _read_json(folder / "vae" / "config.json")
    family = _family(str(index.get("_class_name", "")), net)
    blocks = vae.get("block_out_channels")
    levels = len(blocks) if isinstance(blocks, list) else 0
    factor = 2 ** (levels - 1) if 0 < levels <= _DEEPEST else _FACTOR
    height, width = _sides(net.get("sample_size"), FLAGS["width"].kind, factor)
    home = _HOME.get(family, 512)
    return ModelCard(
        name=name,
        path=folder,
        family=family,
        variant=_variant(index, net),
        width=width or home,
        height=height or home,
        multiple=factor,
        cfg_scale=_GUIDANCE.get(family, ModelCard.cfg_scale),
    )


def _family(pipeline: str, net: Mapping[str, Any]) -> str:
    family = next((f for start, f in _FAMILIES.items() if pipeline.startswith(start)), "other")
    if family == "sd1" and net.get("cross_attention_dim") == _SD2_TEXT_WIDTH:
        return "sd2"
    return family


def _variant(index: Mapping[str, Any], net: Mapping[str, Any]) -> str:
    if index.get("requires_aesthetics_score") is True:
        return "refiner"
    channels = net.get("in_channels")
    return _CHANNELS.get(channels, "") if isinstance(channels, int) else ""


def _sides(sample_size: object, kind: Kind[int], factor: int) -> tuple[int, int]:
    """Height and width in pixels, from the latents'; 0 where the configuration does not say, or
    says what no picture can be."""
    match sample_size:
        case int(side) | [int(side)]:
            sides = side, side
        case [int(height), int(width)]:
            sides = height, width
        case _:
            return 0, 0
    try:
        height, width = (kind.read([str(side * factor)]) for side in sides)
    except ValueError:
        return 0, 0
    return height, width


def _preview(table: object, path: Path, complain: Complain) -> PreviewMap | None:
    match table:
        case {"matrix": [*rows], "bias": bias, **rest} if not rest:
            triples = [_triple(row) for row in [*rows, bias]]
            good = [triple for triple in triples if triple is not None]
            if len(good) == len(triples) > 1:
                return PreviewMap(matrix=tuple(good[:-1]), bias=good[-1])
    complain(f"{path}: [preview] takes matrix, rows of three numbers, and bias, three numbers")
    return None


def _triple(row: object) -> tuple[float, float, float] | None:
    match row:
        case [int() | float() as r, int() | float() as g, int() | float() as b]:
            return (float(r), float(g), float(b))
        case _:
            return None


def _read_json(*places: Path) -> dict[str, Any]:
    """The first of these files that exists, as a table; empty when none does."""
    for path in places:
        try:
            table = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{path} cannot be read: {error}", "fetch the model again") from error
        if not isinstance(table, dict):
            raise ModelError(f"{path} is not a table", "fetch the model again")
        return table
    return {}
