"""Reference images of a line (-ref): whether its model takes them, and the size that follows from
the first."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.request import Request
from dream.inputs import measure_image
from dream.options.editors import list_editors
from dream.session.input_images import LEAST, MOST, cover_size, floor_side


def check_references(request: Request, info: ModelInfo) -> None:
    """Raises BadLine for a model that takes no reference images, or fewer than the line has."""
    if not request.reference:
        return
    most = info.references
    if not most:
        raise BadLine(
            f"{info.name} does not take reference images (-ref)",
            0,
            f"use a model that does: {', '.join(list_editors())}",
        )
    has_mask = request.init_mask is not None or request.text_mask is not None
    count = len(request.reference) + (request.init_img is not None and not has_mask)
    if count > most:
        images = "one reference image" if most == 1 else f"at most {most} reference images"
        also = "; -I is one of them" if count > len(request.reference) else ""
        raise BadLine(f"{info.name} takes {images}, not {count}", 0, f"remove some{also}")


def compute_reference_size(request: Request, info: ModelInfo) -> tuple[int, int, tuple[str, ...]]:
    """Width and height in pixels of an image without -I, and a note about them.

    Without -W and -H it is as large as the first reference image, but has at most as many pixels as
    the model's native size; with one of them, it has its shape. Raises BadLine for sides over the
    limit.
    """
    assert request.reference
    path = Path(request.reference[0])
    own = measure_image(path)
    wanted = cover_size(request, own)
    if not (request.width or request.height):
        scale = sqrt(info.width * info.height / (own[0] * own[1]))
        scale = max(min(1, scale), LEAST / min(own))
        wanted = round(own[0] * scale), round(own[1] * scale)
    width, height = (floor_side(side, info.multiple) for side in wanted)
    if max(width, height) > MOST:
        raise BadLine(
            f"{path.name} would make it {width}x{height}; the limit is {MOST} pixels per side",
            hint="set -W and -H",
        )
    if (width, height) == own or (request.width and request.height):
        return width, height, ()
    size = f"{path.name} is {own[0]}x{own[1]}; the new image is {width}x{height}"
    return width, height, (size,)
