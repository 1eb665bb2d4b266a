"""What is written into an image about itself: in our form and in others', without private paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from dream.core.picture import Picture
from dream.core.request import Request, to_dict
from dream.line import format_line, parse_line, write_spelled
from dream.session.a1111_text import format_a1111
from dream.session.private_paths import hide_private_paths


class Embedded(NamedTuple):
    """What `Gallery.save` writes into an image."""

    picture: Picture
    line: str
    """The line of the log, but without private paths."""
    record: Mapping[str, object]
    """What replaces and adds to the record's JSON."""
    readable: str
    """The line in InvokeAI's form; of a processed image, the one that rendered it."""
    parameters: str
    """AUTOMATIC1111's text; of a processed image, that of the rendered one. Empty for an image
    that nobody knows the prompt of."""


def make_embedded(picture: Picture, request: Request, seconds: float | None) -> Embedded:
    """All of it, for an image of that request, which took so many seconds."""
    request = hide_private_paths(request)
    rendered = request
    if picture.source_line:
        rendered = hide_private_paths(parse_line(picture.source_line))
        picture = replace(picture, source_line=format_line(rendered))
    record: dict[str, object] = {"request": to_dict(request)}
    if seconds is not None:
        record["seconds"] = round(float(seconds), 3)
    weights = picture.facts.get("weights", "")
    known = rendered.fix is None
    return Embedded(
        picture,
        format_line(request),
        record,
        write_spelled(rendered),
        format_a1111(rendered, weights) if known else "",
    )
