"""Takes what clients of other programs' APIs say, and remembers what dream cannot do of it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dream.core.events import Note
from dream.core.plain_text import remove_controls
from dream.core.request import Request
from dream.gallery.readers.record import to_number, to_whole
from dream.web.job import Job
from dream.web.refusal import Refusal

NOTES_HEADER = "X-Dream-Notes"
"""Tells a client what was not done as it asked."""
_LARGEST = 1e12
"""No number that means something is larger, and calculations with larger ones overflow."""
_LONGEST_HEADER = 1000
_NAME = re.compile(r"[A-Za-z0-9_.+ -]{1,60}")
_OFF: tuple[object, ...] = (None, False, "", "None", "none", 0)
_DEFAULTS = (
    *("model", "vae", "steps", "cfg_scale", "cfg_rescale", "sampler", "schedule", "width"),
    *("height", "clip_skip", "quantize", "engine", "cache", "decoder", "upscaler"),
    *("upscale_tile", "upscale_precision", "outdir", "prompt_as_dir", "fnformat", "metadata"),
    "png_compression",
)
"""The session's defaults that hold for such clients too. Others, such as -n, would surprise them:
they ask for one image and get one."""


class ClientValues:
    """The values of a JSON object or a form. Values may be `null`, or numbers as text."""

    def __init__(self, body: Mapping[str, Any], status: int = 400) -> None:
        """`status` is that of the Refusal for a value of the wrong kind."""
        self._body, self._status = body, status
        self.notes: list[str] = []
        """What the answer says beside its images."""

    def __contains__(self, name: str) -> bool:
        return self._body.get(name) is not None

    def text(self, *names: str) -> str:
        """The first of these that is not empty. Raises Refusal if it is not a text."""
        for name in names:
            value = self._body.get(name)
            if value is not None and not isinstance(value, str):
                raise self._wrong(name, "a text")
            if value:
                return value.encode(errors="replace").decode()
        return ""

    def whole(self, name: str) -> int | None:
        """A whole number; None if there is none. Raises Refusal."""
        value = self._body.get(name)
        if value is None or value == "":
            return None
        number = to_whole(value)
        if number is None or abs(number) > _LARGEST:
            raise self._wrong(name, "a whole number")
        return number

    def number(self, name: str) -> float | None:
        """A number of bounded size; None if there is none. Raises Refusal."""
        value = self._body.get(name)
        if value is None or value == "":
            return None
        number = to_number(value)
        if number is None or abs(number) > _LARGEST:
            raise self._wrong(name, "a number")
        return number

    def truth(self, name: str, default: bool = False) -> bool:
        """True or false. Raises Refusal."""
        value = self._body.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
            return value.lower() in ("true", "1")
        if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
            return bool(value)
        raise self._wrong(name, "true or false")

    def table(self, name: str) -> dict[str, Any]:
        """An object; empty if there is none. Raises Refusal."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return value or {}

    def items(self, name: str) -> list[Any]:
        """A list; empty if there is none. Raises Refusal."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, list):
            raise self._wrong(name, "a list")
        return value or []

    def note_ignored(self, names: Iterable[str], harmless: Sequence[object] = ()) -> None:
        """Note those of these names that have a value other than off or `harmless`."""
        for name in names:
            value = self._body.get(name)
            if isinstance(value, list | dict) and not value:
                continue
            if not any(type(value) is type(no) and value == no for no in (*_OFF, *harmless, 0.0)):
                self.ignore(name)

    def ignore(self, name: str) -> None:
        """Note that this is not supported. What is not a plain name is not repeated."""
        shown = name if _NAME.fullmatch(name) else "a setting"
        self.notes.append(f"{shown} is not supported and was ignored")

    def _wrong(self, name: str, expected: str) -> Refusal:
        return Refusal(self._status, f"“{name}” has to be {expected}")


def get_client_defaults(base: Request) -> dict[str, Any]:
    """Of the session's defaults, those that clients of other programs' APIs get."""
    return {name: getattr(base, name) for name in _DEFAULTS}


def decode_base64(text: str, name: str, status: int = 400) -> bytes:
    """The bytes of base64, bare or in a `data:` URL. Raises Refusal; nothing is ever fetched."""
    if text[:8].lower().startswith(("http:", "https:", "file:")):
        raise Refusal(status, f"“{name}” is a URL", hint="send the image itself, as base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    packed = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(status, f"“{name}” is not an image in base64") from None


def format_notes(notes: Iterable[str]) -> dict[str, str]:
    """The header with these notes; none if there are none."""
    text = "; ".join(dict.fromkeys(remove_controls(note) for note in notes))
    if not text:
        return {}
    return {NOTES_HEADER: text.encode("ascii", "replace").decode()[:_LONGEST_HEADER]}


def list_notes(job: Job) -> list[str]:
    """The notes of a job so far."""
    return [event.text for event in list(job.events) if isinstance(event, Note)]
