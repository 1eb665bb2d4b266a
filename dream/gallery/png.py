"""The record in an image's file. The text chunk `Dream` is the line in the form that other programs
have read since 2022; the text chunk `dream_record` is JSON with the exact line, the request, the
provenance, and the SHA-256. It was called `dream` before, which tools that ignore case confuse with
the other one; that name is still read. JPEG, WebP and AVIF have both in XMP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from dream.core.errors import GalleryError
from dream.core.picture import Picture
from dream.core.plain_text import join_lines_of_text
from dream.core.request import to_dict
from dream.gallery.containers.image_text import XMP, ImageText, read_image_text
from dream.gallery.folder import suggest_names
from dream.gallery.log import format_log_line, format_path, join_lines
from dream.gallery.readers.xmp import find_element
from dream.gallery.signature import is_signed, sign

RECORD, PARAMETERS = "dream_record", "parameters"
"""Keywords of our record, and of AUTOMATIC1111's text."""
_DREAM = "dream"
"""The keyword of the line, and formerly of the record too, in any case."""
_SHA256 = re.compile("[0-9a-f]{64}")
XMP_ELEMENTS = {"Dream": "dream:Line", RECORD: "dream:Record"}
"""The elements of an XMP packet that hold what a PNG has in these chunks."""

if TYPE_CHECKING:
    from PIL.Image import Image

_T = TypeVar("_T")


@dataclass(frozen=True)
class DreamRecord:
    """How an image was made, as its PNG records it. Only a line if an older program made it."""

    line: str
    request: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""
    """SHA-256 of the RGB bytes, 64 hex digits; or empty."""
    steps: tuple[Mapping[str, Any], ...] = ()
    """The postprocessing steps."""
    origin: str = ""
    """The line that rendered it, if another line processed it further; or empty."""
    seconds: float | None = None
    """How long it took."""


def build_chunks(
    picture: Picture, line: str, sha256: str, record: Mapping[str, object], readable: str = ""
) -> dict[str, str]:
    """The text chunks of an image; `record` is added to the JSON or replaces a part of it,
    `readable` is the line in the form that other programs read."""
    document: dict[str, object] = {
        "line": line,
        "request": to_dict(picture.recipe.to_request()),
        "facts": dict(picture.facts),
        **record,
        "sha256": sha256,
    }
    if picture.postprocess_log:
        document["steps"] = [dict(step) for step in picture.postprocess_log]
    if picture.source_line:
        document["origin"] = picture.source_line
    document["signature"] = sign(format_log_line("", line, sha256, picture.facts))
    # Other programs look for prompt and seed in the line that rendered it. JSON can contain a lone
    # surrogate, a text chunk cannot.
    readable = (readable or picture.source_line or line).encode(errors="replace").decode()
    return {"Dream": readable, RECORD: json.dumps(document)}


def build_grid_chunks(line: str) -> dict[str, str]:
    """The text chunk of a grid, which is not an image of its own and has no line."""
    return {RECORD: json.dumps({"grid": line, "signature": sign(f"grid {line}")})}


def build_intermediate_chunks(line: str, step: int) -> dict[str, str]:
    """The text chunk of an unfinished image: the step, and the line."""
    return {RECORD: json.dumps({"intermediate": line, "step": step})}


def write_png(file: IO[bytes], image: Image, chunks: Mapping[str, str], compression: int) -> None:
    """Write a PNG; texts beyond Latin-1 become iTXt. `compression` is 0 to 9."""
    from PIL.PngImagePlugin import PngInfo  # imported late: the prompt does not need Pillow

    info = PngInfo()
    for key, text in chunks.items():
        info.add_text(key, text)
    image.save(file, "PNG", pnginfo=info, compress_level=compression)


def read_chunks(path: Path) -> dict[str, str]:
    """The text chunks of an image, anywhere in the file, without its pixels. Raises OSError, or
    ValueError if it is not a PNG, JPEG, WebP or AVIF."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError("not a regular file")  # a pipe or a device may never end
    return get_chunks(read_image_text(path))


def get_chunks(image: ImageText) -> dict[str, str]:
    """The texts of an image; those of dream by their PNG keywords, whatever the format."""
    texts = dict(image.texts)
    if "dream:" in texts.get(XMP, ""):
        for key, element in XMP_ELEMENTS.items():
            if key not in texts and (text := find_element(texts[XMP], element)):
                texts[key] = text
    return texts


def read_record(path: Path) -> DreamRecord:
    """How an image was made, from its PNG. Raises GalleryError if there is no such file, it is not
    a PNG, or it has no record."""
    try:
        chunks = read_chunks(path)
    except FileNotFoundError as error:
        raise GalleryError(f"there is no {path}", suggest_names(path)) from error
    except OSError as error:
        raise GalleryError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        hint = "a record is read from PNG, JPEG, WebP and AVIF files"
        raise GalleryError(f"{path} is not a complete image", hint) from error
    record = parse_record(chunks)
    if not has_record(chunks, record):
        raise GalleryError(f"{path} has no record of how it was made", "dream did not make it")
    return record


def has_record(chunks: Mapping[str, str], record: DreamRecord) -> bool:
    """Whether an image with these chunks has a record of dream's, or InvokeAI's line."""
    return bool(record.line or record.request) or _line_in(chunks) is not None


def read_log_line(path: Path, record: DreamRecord, line: str) -> str:
    """The line that the image would have in a log, from its own record."""
    if not record.sha256:
        return f"{format_path(path)}: {line}"
    return format_log_line(format_path(path), line, record.sha256, record.facts)


def parse_record(chunks: Mapping[str, str]) -> DreamRecord:
    """The record in a PNG's text chunks, whichever program wrote them. Invalid values are left out:
    the hash is a hash, and no provenance value contains a line break."""
    document = parse_json_chunk(chunks)
    sha256, seconds = document.get("sha256"), document.get("seconds")
    rendered = _line_in(chunks) or ""
    line = str(document.get("line", rendered))
    origin = document.get("origin") if RECORD in chunks else rendered if rendered != line else ""
    return DreamRecord(
        line=line,
        request=_typed(document, "request", dict),
        facts=_facts(_typed(document, "facts", dict)),
        sha256=sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else "",
        steps=tuple(step for step in _typed(document, "steps", list) if isinstance(step, dict)),
        origin=origin if isinstance(origin, str) else "",
        seconds=seconds if isinstance(seconds, float) and 0 < seconds < 1e9 else None,
    )


def _typed(document: Mapping[str, Any], key: str, kind: type[_T]) -> _T:
    """The value, or an empty one if it is not of that type."""
    value = document.get(key)
    return value if isinstance(value, kind) else kind()


def is_ours(chunks: Mapping[str, str]) -> bool:
    """Whether this user's dream wrote the image or the grid, with this line."""
    document = parse_json_chunk(chunks)
    signature = str(document.get("signature", ""))
    if "grid" in document:
        return is_signed(f"grid {document['grid']}", signature)
    record = parse_record(chunks)
    return is_signed(
        format_log_line("", join_lines(record.line), record.sha256, record.facts), signature
    )


def _facts(facts: Mapping[object, object]) -> dict[str, str]:
    return {
        join_lines_of_text(str(name)): join_lines_of_text(str(value))
        for name, value in facts.items()
    }


def _line_in(chunks: Mapping[str, str]) -> str | None:
    """The line in the text chunks, in whatever case another tool has written the keyword; None if
    there is none."""
    if "Dream" in chunks:
        return chunks["Dream"]
    texts = (text for key, text in chunks.items() if key.casefold() == _DREAM)
    return next((text for text in texts if not text.startswith("{")), None)


def parse_json_chunk(chunks: Mapping[str, str]) -> dict[str, Any]:
    """The record's JSON as an object; empty if there is none, or it cannot be read."""
    for key in (RECORD, *(key for key in chunks if key.casefold() in (_DREAM, RECORD))):
        try:
            document = json.loads(chunks.get(key, ""))
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            return document
    return {}
