"""A picture's own record, in its PNG: text chunk `Dream` is the line that makes it again, as it has
been since 2022; text chunk `dream` is JSON with the request, the circumstances, and the sha256."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dream.errors import GalleryError
from dream.gallery.folder import near_names
from dream.gallery.log import log_line, one_line, shown
from dream.gallery.signature import is_signed, signed
from dream.picture import Picture
from dream.request import as_json

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Record:
    """What a PNG tells of how it was made. A line alone, when an older program made it."""

    line: str
    request: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""
    """Of the RGB bytes, 64 hex digits; or empty."""
    steps: tuple[Mapping[str, Any], ...] = ()
    """What was done to it after it was rendered."""
    origin: str = ""
    """The line that rendered it, where another one took it further; or empty."""


def picture_chunks(
    picture: Picture, line: str, sha256: str, record: Mapping[str, object]
) -> dict[str, str]:
    """The text chunks of a picture; `record` adds to the JSON what the caller wants remembered."""
    said: dict[str, object] = {
        "request": as_json(picture.recipe.as_request()),
        "facts": dict(picture.facts),
        **record,
        "sha256": sha256,
    }
    if picture.steps:
        said["steps"] = [dict(step) for step in picture.steps]
    # Other programs, and ours of 2022, look for words and seed in the line that rendered it.
    readable = (picture.origin or line).encode(errors="replace").decode()
    if readable != line:  # or a lone surrogate: JSON can hold it, a text chunk cannot
        said["line"] = line
    said["signature"] = signed(log_line("", line, sha256, picture.facts))
    return {"Dream": readable, "dream": json.dumps(said)}


def grid_chunks(line: str) -> dict[str, str]:
    """The text chunk of a grid, which is no picture of its own and has no line."""
    return {"dream": json.dumps({"grid": line, "signature": signed(f"grid {line}")})}


def intermediate_chunks(line: str, step: int) -> dict[str, str]:
    """The text chunk of a picture in the making: after which step, and what it was to become."""
    return {"dream": json.dumps({"intermediate": line, "step": step})}


def write_png(file: IO[bytes], image: Image, chunks: Mapping[str, str], compression: int) -> None:
    """Writes a PNG; texts beyond Latin-1 become iTXt. `compression` is 0 to 9."""
    from PIL.PngImagePlugin import PngInfo  # Pillow comes with the first picture, not the prompt

    info = PngInfo()
    for key, text in chunks.items():
        info.add_text(key, text)
    image.save(file, "PNG", pnginfo=info, compress_level=compression)


def read_chunks(path: Path) -> dict[str, str]:
    """The text chunks of a PNG, without its pixels. Raises OSError, or ValueError for no PNG."""
    from PIL.PngImagePlugin import PngImageFile

    with path.open("rb") as file:
        try:
            # Not Image.open: its guard against huge pictures would refuse our own, upscaled
            # eightfold, and no pixel is decoded here.
            info = PngImageFile(file).info
        except (SyntaxError, EOFError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's, not Pillow's word for a file cut short
            raise ValueError(str(error)) from error
    return {str(key): str(text) for key, text in info.items() if isinstance(text, str)}


def read_record(path: Path) -> Record:
    """What a PNG tells of how it was made. Raises GalleryError: no such file, no PNG, no record."""
    try:
        chunks = read_chunks(path)
    except FileNotFoundError as error:
        raise GalleryError(f"there is no {path}", near_names(path)) from error
    except OSError as error:
        raise GalleryError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        hint = "a picture's record is in its PNG"
        raise GalleryError(f"{path} is no whole PNG", hint) from error
    if "Dream" not in chunks:
        raise GalleryError(f"{path} does not say how it was made", "it has no Dream text chunk")
    return as_record(chunks)


def log_line_of(path: Path) -> str:
    """The line a picture would have in a log, by its own record. Raises GalleryError."""
    record = read_record(path)
    where, line = shown(path), one_line(record.line)
    if not record.sha256:
        return f"{where}: {line}"
    return log_line(where, line, record.sha256, record.facts)


def as_record(chunks: Mapping[str, str]) -> Record:
    """The record in a PNG's text chunks, whoever wrote them."""
    said = json_of(chunks)
    facts = said.get("facts")
    request = said.get("request")
    steps = said.get("steps")
    steps = steps if isinstance(steps, list) else []
    rendered = chunks.get("Dream", "")
    line = str(said.get("line", rendered))
    return Record(
        line=line,
        request=request if isinstance(request, dict) else {},
        facts={str(k): str(v) for k, v in facts.items()} if isinstance(facts, dict) else {},
        sha256=str(said.get("sha256", "")),
        steps=tuple(step for step in steps if isinstance(step, dict)),
        origin=rendered if rendered != line else "",
    )


def is_ours(chunks: Mapping[str, str]) -> bool:
    """Whether this user's dream wrote the picture or the grid, with this line."""
    said = json_of(chunks)
    signature = str(said.get("signature", ""))
    if "grid" in said:
        return is_signed(f"grid {said['grid']}", signature)
    record = as_record(chunks)
    return is_signed(log_line("", one_line(record.line), record.sha256, record.facts), signature)


def json_of(chunks: Mapping[str, str]) -> dict[str, Any]:
    """The `dream` chunk as an object; empty when there is none, or none we can read."""
    try:
        said = json.loads(chunks.get("dream", "{}"))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
