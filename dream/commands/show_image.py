"""Commands that look at pictures: in the terminal, on the desktop, and at what they tell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread

from dream import inputs
from dream.commands.command import Context, Line, ShowImage, TextOutput, find_named_file
from dream.core.errors import GalleryError, InputError
from dream.core.events import Events, Note
from dream.core.file_names import path_exists_at
from dream.gallery.metadata import ImageMetadata, read_metadata

_WITHOUT_RECORD = (".jpg", ".jpeg", ".webp")
"""Our record is in PNGs alone; a watermark is told by these too."""

_VIEWED = (
    *(".png", ".jpg", ".jpeg", ".webp", ".avif", ".heic", ".heif", ".tif", ".tiff", ".gif"),
    *(".bmp", ".ppm", ".jp2", ".tga", ".pcx", ".qoi", ".ico", ".psd"),
)
"""What a desktop's viewer is asked for. A desktop goes by the name, and runs what is named so."""

_LONG = 2000
"""Characters of another tool's text that are shown; its graphs can be a book."""


def show_picture(context: Context, argument: str) -> Events[None]:
    """!show FILE: a picture, in the terminal. Raises InputError for what is none."""
    path = _there(context, argument, "!show")
    inputs.measure_image(path)
    yield ShowImage(path=path)


def open_picture(context: Context, argument: str) -> Events[None]:
    """!open FILE: a picture, in the desktop's viewer. Raises InputError for what is none, by its
    name or by its content: a desktop would run a program."""
    path = _there(context, argument, "!open")
    if path.suffix.lower() not in _VIEWED:
        raise InputError(
            f"{path} is not opened: it is not named as an image", f"{' '.join(_VIEWED)} are"
        )
    inputs.measure_image(path)
    _open_on_desktop(path.absolute())
    yield Note(text=f"opening {path.as_posix()}")


def show_info(context: Context, argument: str) -> Events[None]:
    """!info FILE: all that a picture tells of itself."""
    path = find_named_file(context, argument, "!info")
    if path.suffix.lower() in _WITHOUT_RECORD and path_exists_at(path):
        yield TextOutput(lines=tuple(_of_another_kind(path)))
    else:
        yield TextOutput(lines=tuple(_rows(path, read_metadata(path))))


def _there(context: Context, argument: str, command: str) -> Path:
    path = find_named_file(context, argument, command)
    if not path_exists_at(path):
        raise GalleryError(f"there is no {path}")
    return path


def _rows(path: Path, told: ImageMetadata) -> Iterator[Line]:
    yield path.as_posix()
    yield ("  size", f"{told.width} x {told.height} pixels, {told.size:,} bytes")
    if told.record.line:
        yield ("  line", told.record.line)
    if told.record.origin:
        yield ("  rendered by", told.record.origin)
    if told.record.sha256:
        yield ("  sha256", told.record.sha256)
    yield from _watermark(path)
    yield from _table("request", told.record.request)
    yield from _table("facts", told.record.facts)
    for number, step in enumerate(told.record.steps, 1):
        yield from _table(f"step {number}", step)
    for name, text in told.others.items():
        left_out = len(text) - _LONG
        yield ""
        yield f"{name}:"
        yield from (f"  {row}" for row in text[:_LONG].splitlines())
        if left_out > 0:
            yield f"  … and {left_out} characters more"
    if not (told.record.line or told.others):
        yield "  it does not say how it was made"


def _of_another_kind(path: Path) -> Iterator[Line]:
    """What is seen of a picture that is no PNG. Raises InputError."""
    width, height = inputs.measure_image(path)
    yield path.as_posix()
    yield ("  size", f"{width} x {height} pixels, {path.stat().st_size:,} bytes")
    yield from _watermark(path)
    yield "  it does not say how it was made"


def _watermark(path: Path) -> Iterator[Line]:
    """What --watermark hid in a picture, where it is told still."""
    from dream.postprocess.watermark import (
        extract_watermark,  # numpy comes with the first look, not the prompt
    )

    with suppress(InputError):  # too large to be opened; what it says of itself is told above
        if text := extract_watermark(inputs.open_picture(path).image):
            yield ("  watermark", text)


def _table(title: str, values: Mapping[str, object]) -> Iterator[Line]:
    if values:
        yield ""
        yield f"{title}:"
    for name, value in values.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield (f"  {name}", shown)


def _open_on_desktop(path: Path) -> None:
    """Hand a file to the program its owner likes for it, and do not wait. Raises GalleryError."""
    if sys.platform == "win32":
        os.startfile(path)
        return
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    desktop = (
        sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if not desktop or shutil.which(opener) is None:
        raise GalleryError(f"there is no desktop here to open {path} on", "!show shows it here")
    nothing = subprocess.DEVNULL
    viewer = subprocess.Popen(
        [opener, str(path)], stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )
    Thread(target=viewer.wait, name="viewer", daemon=True).start()  # so that no zombie stays
