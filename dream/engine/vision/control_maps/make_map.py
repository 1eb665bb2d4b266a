"""Makes the map that a control model sees of an image, for the kinds that need no network."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from PIL import Image

from dream.engine.import_errors import raise_setup_errors
from dream.inputs.masks import resize_to_cover

BLACK, WHITE = 0, 255
LONGEST_SIDE = 2048
"""Pixels; a map is not larger. Control models see it in the size of the generated image."""
UNCHANGED_KINDS = ("qr", "inpaint")
"""Kinds whose map is the image itself. What is masked for `inpaint` is marked when the model is
asked: a pixel has no level for it."""
TILE_KIND = "tile"
_TILE_REDUCTION = 2


_NOTHING_FOUND: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "canny": ("no sharp edges", "softedge and scribble also find soft ones"),
        "scribble": ("no outlines", "softedge also finds faint ones"),
        "lineart": ("no lines", "softedge also finds soft edges"),
        "softedge": ("no edges", "the image has one colour"),
        "pose": ("nobody", "depth and softedge need no person"),
    }
)
"""What is not there where a kind's map is black, and what else there is."""


def describe_empty_map(kind: str, name: str, drawn: Image.Image) -> str:
    """A note for a map that is black as a whole; empty for others. name: of the image."""
    if kind not in _NOTHING_FOUND or drawn.convert("L").getextrema() != (0, 0):
        return ""
    nothing, instead = _NOTHING_FOUND[kind]
    return f"{kind} finds {nothing} in {name}, so its map is empty; {instead}"


def find_background(kind: str, *, ready_made: bool) -> int:
    """The grey that a control image of a kind gets where it is transparent: white, as in
    ControlNet's own annotators, or black for a map that is used as it is and is drawn on black."""
    return BLACK if ready_made and kind not in (*UNCHANGED_KINDS, TILE_KIND) else WHITE


def limit_map_size(size: tuple[int, int]) -> tuple[int, int]:
    """A width and height, scaled down to LONGEST_SIDE where they are larger."""
    longest = max(size)
    if longest <= LONGEST_SIDE:
        return size
    width, height = (max(1, round(side * LONGEST_SIDE / longest)) for side in size)
    return width, height


def make_plain_map(kind: str, image: Image.Image, size: tuple[int, int]) -> Image.Image | None:
    """The map (RGB) of an RGB image, scaled and cropped to `size`, width and height in pixels; None
    for kinds that need a network. The same image gives the same map.

    Raises SetupError where OpenCV cannot be imported.
    """
    width, height = limit_map_size(size)
    if kind in UNCHANGED_KINDS:
        return resize_to_cover(image, width, height)
    if kind == TILE_KIND:
        return _remove_details(resize_to_cover(image, width, height))
    with raise_setup_errors():
        from dream.engine.vision.control_maps.edges import EDGE_MAPS
    if (draw := EDGE_MAPS.get(kind)) is None:
        return None
    return draw(resize_to_cover(image, width, height))


def _remove_details(image: Image.Image) -> Image.Image:
    """Without the finest details, which the model is to draw anew."""
    small = [max(1, side // _TILE_REDUCTION) for side in image.size]
    reduced = image.resize((small[0], small[1]), Image.Resampling.BOX)
    return reduced.resize(image.size, Image.Resampling.BICUBIC)
