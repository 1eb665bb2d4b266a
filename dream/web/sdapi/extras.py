"""Upscaling of one image (POST extra-single-image), and what an image records (POST png-info)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.core.errors import GalleryError
from dream.core.request import Request, Upscale
from dream.core.request_json import parse_request
from dream.gallery.metadata import read_metadata
from dream.gallery.readers.a1111 import parse_fields
from dream.inputs import open_picture
from dream.session import Session
from dream.session.a1111_text import format_a1111
from dream.session.foreign_lines import find_nearest
from dream.web.client_values import ClientValues, get_client_defaults
from dream.web.refusal import Refusal
from dream.web.sdapi.face_fields import read_visible_faces
from dream.web.sdapi.input_pictures import encode_png
from dream.web.sdapi.read_wanted import INVALID
from dream.web.upload import StoredUpload

_LARGEST = 8.0
"""The largest factor."""
_UNSUPPORTED = ("extras_upscaler_2_visibility", "show_extras_results")
_MOST_TEXTS, _LONGEST_TEXT = 50, 100_000


@dataclass(frozen=True)
class WantedUpscale:
    """What POST extra-single-image wants of each image."""

    upscaler: str
    """Empty: the image stays as it is."""
    factor: float
    """0: as large as covers `size`."""
    size: tuple[int, int] | None
    crops: bool
    faces: Mapping[str, Any]
    """The fields of a Request that restore faces."""
    notes: tuple[str, ...]

    def request_of(self, session: Session, stored: StoredUpload) -> Request:
        """The request for one stored image. Raises Refusal."""
        factor = self.factor
        if self.size is not None:
            factor = max(self.size[0] / stored.width, self.size[1] / stored.height)
        if self.upscaler and not 1 <= factor <= _LARGEST:
            raise Refusal(INVALID, f"the factor has to be from 1 to {_LARGEST:g}")
        fields = get_client_defaults(session.base) | {"upscaler": self.upscaler or None}
        kept = ("outdir", "prompt_as_dir", "fnformat", "metadata", "upscaler", "upscale_tile")
        return Request(
            fix=stored.name,
            upscale=Upscale(round(factor, 4), 1.0) if self.upscaler else None,
            **{name: fields[name] for name in kept},
            **self.faces,
        )


def read_upscale(session: Session, body: Mapping[str, Any]) -> WantedUpscale:
    """What a client wants. Raises Refusal."""
    values = ClientValues(body, INVALID)
    name = values.text("upscaler_1")
    upscaler = ""
    if name not in ("", "None"):
        names = [info.name for info in session.registry.list_upscalers()]
        upscaler = next((one for one in names if one.casefold() == name.casefold()), "")
        if not upscaler:
            raise Refusal(404, "Upscaler not found", hint="see /sdapi/v1/upscalers")
    size = None
    if (values.whole("resize_mode") or 0) == 1:
        size = values.whole("upscaling_resize_w") or 0, values.whole("upscaling_resize_h") or 0
        if min(size) < 1:
            raise Refusal(INVALID, "resize_mode 1 needs upscaling_resize_w and upscaling_resize_h")
    values.note_ignored(_UNSUPPORTED, (True,))
    if values.text("upscaler_2") not in ("", "None"):
        values.ignore("upscaler_2")
    factor = values.number("upscaling_resize")
    faces = read_visible_faces(values, INVALID)
    return WantedUpscale(
        upscaler,
        2.0 if factor is None else factor,
        size,
        values.truth("upscaling_crop", True),
        faces,
        tuple(values.notes),
    )


def crop_to_size(path: Path, size: tuple[int, int]) -> bytes:
    """A PNG of the middle of an image, of this size. Raises InputError."""
    image = open_picture(path).image
    width, height = min(size[0], image.width), min(size[1], image.height)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return encode_png(image.crop((left, top, left + width, top + height)))


def describe_png(data: bytes) -> dict[str, Any]:
    """The answer of POST png-info: what an image of any program records. Raises GalleryError."""
    with tempfile.NamedTemporaryFile(suffix=".img") as file:
        file.write(data)
        file.flush()
        try:
            found = read_metadata(Path(file.name))
        except GalleryError as error:
            raise GalleryError(error.message.replace(file.name, "the image"), error.hint) from None
    texts = list(found.others.items())[:_MOST_TEXTS]
    items = {name: text[:_LONGEST_TEXT] for name, text in texts}
    info = items.get("parameters", "")
    if not info and found.record.request:
        info = format_a1111(parse_request(found.record.request))
    elif not info and found.foreign is not None:
        info = format_a1111(find_nearest(found.foreign).request)
    if info:
        items["parameters"] = info
    return {"info": info, "items": items, "parameters": parse_fields(info)}
