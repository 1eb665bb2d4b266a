"""Commands that show images: in the terminal, on the desktop, and their metadata."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from threading import Thread

from dream import inputs
from dream.catalogue.discovery import FILES, INDEX
from dream.catalogue.model_info import ModelInfo
from dream.commands.command import Context, Line, ShowImage, TextOutput, find_named_file
from dream.commands.explain_model import explain_model
from dream.commands.model_text import parse_name
from dream.core.errors import GalleryError, InputError
from dream.core.events import Events, Note
from dream.core.file_names import path_exists_at
from dream.gallery.metadata import ImageMetadata, read_metadata
from dream.gallery.readers import ForeignRecord
from dream.line import format_line
from dream.session.foreign_lines import find_nearest
from dream.session.foreign_models import ModelLookup

_READ = (".png", ".txt", ".json", "")
"""Endings of files that are never opened as another kind of image, to say what is wrong."""

_APART = ("tool", "version", "unread", "syntax", "switches")
"""Fields of a record that are shown in other ways."""
_LONG = 2000
"""How many characters of another tool's metadata are shown; its graphs can be very long."""


def show_picture(context: Context, argument: str) -> Events[None]:
    """!show FILE: show an image in the terminal. Raises InputError if it is not an image."""
    path = _find_existing_file(context, argument, "!show")
    inputs.measure_image(path)
    yield ShowImage(path=path)


def open_picture(context: Context, argument: str) -> Events[None]:
    """!open FILE: open an image in the desktop's viewer. Raises InputError if its name or its
    content is not that of an image: a desktop chooses by the name, and may run a program."""
    path = _find_existing_file(context, argument, "!open")
    if path.suffix.lower() not in inputs.ENDINGS:
        raise InputError(
            f"{path} is not opened: its name is not that of an image",
            f"names of images end in {' '.join(inputs.ENDINGS)}",
        )
    inputs.measure_image(path)
    _open_on_desktop(path.absolute())
    yield Note(text=f"opening {path.as_posix()}")


def show_info(context: Context, argument: str) -> Events[None]:
    """!info FILE: show everything an image records about itself; or, of a model, what it is and
    where its defaults come from."""
    path = find_named_file(context, argument, "!info")
    if (info := _find_model(context, argument, path)) is not None:
        yield TextOutput(lines=tuple(explain_model(info, context.session)))
        return
    try:
        metadata = read_metadata(path)
    except GalleryError:
        # Other formats hold no record that is read, but their size and a watermark can be shown.
        if path.suffix.lower() in _READ or not path_exists_at(path):
            raise
        yield TextOutput(lines=tuple(_format_other_image(path)))
        return
    lines = _format_metadata(path, metadata, ModelLookup(context.session.registry))
    yield TextOutput(lines=tuple(lines))


def _find_model(context: Context, argument: str, path: Path) -> ModelInfo | None:
    """The model that an argument names, by its name or path; None for an image or a text."""
    if path.suffix.lower() in (*inputs.ENDINGS, *_READ[:-1]):
        return None
    registry, name = context.session.registry, parse_name(argument, "!info")
    is_model = path.suffix.lower() in FILES or (path / INDEX).is_file()
    return registry.get_model(name) if name in registry.list_names() or is_model else None


def _find_existing_file(context: Context, argument: str, command: str) -> Path:
    path = find_named_file(context, argument, command)
    if not path_exists_at(path):
        raise GalleryError(f"there is no {path}")
    return path


def _format_metadata(path: Path, metadata: ImageMetadata, lookup: ModelLookup) -> Iterator[Line]:
    yield path.as_posix()
    if metadata.format != "text":
        yield ("  size", f"{metadata.width} x {metadata.height} pixels, {metadata.size:,} bytes")
    if metadata.grid:
        yield ("  grid of", metadata.grid)
    if metadata.record.line:
        yield ("  line", metadata.record.line)
    if metadata.record.origin:
        yield ("  rendered by", metadata.record.origin)
    if metadata.record.sha256:
        yield ("  sha256", metadata.record.sha256)
    if metadata.foreign is not None:
        yield from _format_foreign(metadata.foreign, lookup)
    if metadata.format != "text":
        yield from _read_watermark(path)
    yield from _format_table("request", metadata.record.request)
    yield from _format_table("facts", metadata.record.facts)
    for number, step in enumerate(metadata.record.steps, 1):
        yield from _format_table(f"step {number}", step)
    for name, text in metadata.others.items():
        left_out = len(text) - _LONG
        yield ""
        yield f"{name}:"
        yield from (f"  {row}" for row in text[:_LONG].splitlines())
        if left_out > 0:
            yield f"  … and {left_out} characters more"
    if not (metadata.has_record or metadata.grid or metadata.others):
        yield "  it has no record of how it was made"


def _format_foreign(record: ForeignRecord, lookup: ModelLookup) -> Iterator[Line]:
    """Another program's record, and the line that comes nearest."""
    nearest = find_nearest(record, lookup)
    yield ("  made by", f"{record.tool} {record.version}".strip())
    yield ("  line", format_line(nearest.request))
    if nearest.left_out:
        yield ("  not carried over", ", ".join(nearest.left_out))
    shown = {
        field.name.replace("_", " "): value
        for field in fields(record)
        if field.name not in _APART and (value := getattr(record, field.name))
    }
    yield from _format_table("record", shown)


def _format_other_image(path: Path) -> Iterator[Line]:
    """Size and watermark of an image of another format. Raises InputError."""
    width, height = inputs.measure_image(path)
    yield path.as_posix()
    yield ("  size", f"{width} x {height} pixels, {path.stat().st_size:,} bytes")
    yield from _read_watermark(path)
    yield "  it has no record of how it was made"


def _read_watermark(path: Path) -> Iterator[Line]:
    """The text that --watermark embedded in an image, if it can still be read."""
    from dream.postprocess.watermark import (
        extract_watermark,  # numpy is not imported at startup
    )

    with suppress(InputError):  # too large to open; its metadata is shown above
        if text := extract_watermark(inputs.open_picture(path).image):
            yield ("  watermark", text)


def _format_table(title: str, values: Mapping[str, object]) -> Iterator[Line]:
    if values:
        yield ""
        yield f"{title}:"
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield (f"  {name}", text)


def _open_on_desktop(path: Path) -> None:
    """Open a file with the desktop's default program and do not wait. Raises GalleryError."""
    if sys.platform == "win32":
        os.startfile(path)
        return
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    desktop = (
        sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if not desktop or shutil.which(opener) is None:
        raise GalleryError(f"cannot open {path}: there is no desktop", "!show shows it here")
    nothing = subprocess.DEVNULL
    viewer = subprocess.Popen(
        [opener, str(path)], stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )
    Thread(
        target=viewer.wait, name="viewer", daemon=True
    ).start()  # so that no zombie process stays
