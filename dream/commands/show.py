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
from dream.commands.base import Context, Line, Look, Page, file_named
from dream.errors import GalleryError, InputError
from dream.events import Events, Note
from dream.file_names import exists
from dream.gallery.told import Told, tell_all

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
    inputs.measure(path)
    yield Look(path=path)


def open_picture(context: Context, argument: str) -> Events[None]:
    """!open FILE: a picture, in the desktop's viewer. Raises InputError for what is none, by its
    name or by its content: a desktop would run a program."""
    path = _there(context, argument, "!open")
    if path.suffix.lower() not in _VIEWED:
        raise InputError(
            f"{path} is not opened: it is not named as an image", f"{' '.join(_VIEWED)} are"
        )
    inputs.measure(path)
    _open_on_desktop(path.absolute())
    yield Note(text=f"opening {path.as_posix()}")


def tell(context: Context, argument: str) -> Events[None]:
    """!info FILE: all that a picture tells of itself."""
    path = file_named(context, argument, "!info")
    if path.suffix.lower() in _WITHOUT_RECORD and exists(path):
        yield Page(lines=tuple(_of_another_kind(path)))
    else:
        yield Page(lines=tuple(_rows(path, tell_all(path))))


def _there(context: Context, argument: str, command: str) -> Path:
    path = file_named(context, argument, command)
    if not exists(path):
        raise GalleryError(f"there is no {path}")
    return path


def _rows(path: Path, told: Told) -> Iterator[Line]:
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
    width, height = inputs.measure(path)
    yield path.as_posix()
    yield ("  size", f"{width} x {height} pixels, {path.stat().st_size:,} bytes")
    yield from _watermark(path)
    yield "  it does not say how it was made"


def _watermark(path: Path) -> Iterator[Line]:
    """What --watermark hid in a picture, where it is told still."""
    from dream.finish.watermark import read  # numpy comes with the first look, not the prompt

    with suppress(InputError):  # too large to be opened; what it says of itself is told above
        if text := read(inputs.open_picture(path).image):
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
