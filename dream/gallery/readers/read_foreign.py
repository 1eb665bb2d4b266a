"""The table of programs, and the one way to the record of an image of any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dream.core.bounded_reading import read_bounded
from dream.gallery.containers.image_text import ImageText
from dream.gallery.readers.a1111 import parse_parameters, read_a1111
from dream.gallery.readers.comfyui import read_comfyui, read_graph_json
from dream.gallery.readers.drawthings import read_drawthings, read_drawthings_json
from dream.gallery.readers.easydiffusion import (
    read_easydiffusion,
    read_easydiffusion_json,
    read_easydiffusion_text,
)
from dream.gallery.readers.fooocus import read_fooocus, read_fooocus_json
from dream.gallery.readers.imaginairy import read_imaginairy
from dream.gallery.readers.invokeai import read_invokeai, read_metadata_json
from dream.gallery.readers.mflux import read_mflux, read_mflux_json
from dream.gallery.readers.mold import read_mold, read_mold_json
from dream.gallery.readers.novelai import read_novelai, read_novelai_json
from dream.gallery.readers.record import ForeignRecord, parse_table
from dream.gallery.readers.stealth import read_stealth
from dream.gallery.readers.swarmui import read_swarmui, read_swarmui_json

ReadJson = Callable[[Mapping[str, object]], ForeignRecord | None]


class RecordReader(NamedTuple):
    """One program, or several that write the same."""

    name: str
    read: Callable[[ImageText], ForeignRecord | None]
    read_json: ReadJson | None = None
    """Of a .json file beside the image."""


READERS = (
    RecordReader("InvokeAI", read_invokeai, read_metadata_json),
    RecordReader("SwarmUI", read_swarmui, read_swarmui_json),
    RecordReader("Fooocus", read_fooocus, read_fooocus_json),
    RecordReader("AUTOMATIC1111, Forge, SD.Next, sd.cpp", read_a1111),
    RecordReader("ComfyUI", read_comfyui, read_graph_json),
    RecordReader("NovelAI", read_novelai, read_novelai_json),
    RecordReader("mflux", read_mflux, read_mflux_json),
    RecordReader("Draw Things", read_drawthings, read_drawthings_json),
    RecordReader("mold", read_mold, read_mold_json),
    RecordReader("imaginAIry", read_imaginairy),
    RecordReader("Easy Diffusion", read_easydiffusion, read_easydiffusion_json),
)
"""The first that finds a record counts; those with marks of their own come before those that are
known by common keys. An image that also has AUTOMATIC1111's text is read from that before the graph
of ComfyUI, as its author wrote both."""

SIDE_FILES = (".txt", ".json", ".metadata.json")
"""Endings of files beside an image, instead of the image's own or behind its whole name."""
LARGEST_SIDE_FILE = 4 << 20
"""Bytes."""


def read_foreign(path: Path, image: ImageText) -> ForeignRecord | None:
    """The record of an image by any of the programs: in its metadata, its pixels, or in a file
    beside it. The size is the image's own where the record has none. Raises nothing."""
    record = _read_embedded(image) or read_stealth(path, image) or _read_beside(path)
    if record is None or (record.width and record.height):
        return record
    return replace(record, width=image.width or None, height=image.height or None)


def read_foreign_text(text: str) -> ForeignRecord | None:
    """The record of a text: AUTOMATIC1111's, or Easy Diffusion's lines, or the JSON of a program
    that writes it into a file."""
    if table := parse_table(text.removeprefix("\ufeff")):
        records = (reader.read_json(table) for reader in READERS if reader.read_json)
        return next(filter(None, records), None)
    return parse_parameters(text) or read_easydiffusion_text(text)


def list_side_files(path: Path) -> Iterator[Path]:
    """Where programs put the record of an image beside it."""
    for ending in SIDE_FILES:
        yield path.with_name(path.stem + ending)
        yield path.with_name(path.name + ending)


def _read_embedded(image: ImageText) -> ForeignRecord | None:
    records = (reader.read(image) for reader in READERS) if image.texts else iter(())
    return next(filter(None, records), None)


def _read_beside(path: Path) -> ForeignRecord | None:
    for file in list_side_files(path):
        try:
            text = read_bounded(file, LARGEST_SIDE_FILE).decode("utf-8", "replace")
        except (OSError, ValueError):
            continue
        if record := read_foreign_text(text):
            return record
    return None
