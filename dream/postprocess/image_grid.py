"""Makes a grid of images, as nearly square as possible."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from dream.core.errors import FinishError, InputError
from dream.inputs import measure_image, open_picture

MAX_SIDE = 8192
"""Maximum width and height of a grid, in pixels."""


def make_image_grid(
    pictures: Sequence[Image.Image | Path], columns: int | None = None
) -> Image.Image:
    """Place the images in rows, from the top left, without gaps, as RGB.

    A cell is as large as the largest image; other images are fitted into their cell, centred on
    black. If the grid would exceed MAX_SIDE, all cells shrink. Without `columns` the grid is nearly
    square: as many columns as rows, or one more. Files are read one at a time, to save memory.

    Raises ValueError without images, FinishError for a file that is not an image.
    """
    if not pictures:
        raise ValueError("a grid needs at least one image")
    across = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    down = math.ceil(len(pictures) / across)
    cell = compute_cell_size(pictures, across, down)
    page = Image.new("RGB", (across * cell[0], down * cell[1]))
    for index, picture in enumerate(pictures):
        small = fit_into_cell(open_image(picture), cell)
        left = index % across * cell[0] + (cell[0] - small.width) // 2
        top = index // across * cell[1] + (cell[1] - small.height) // 2
        page.paste(small, (left, top))
    return page


def compute_cell_size(
    pictures: Sequence[Image.Image | Path], across: int, down: int
) -> tuple[int, int]:
    """The size of the largest image, reduced if the grid would exceed MAX_SIDE."""
    width = height = 1
    for picture in pictures:
        image_width, image_height = _image_size(picture)
        width, height = max(width, image_width), max(height, image_height)
    shrink = min(1.0, MAX_SIDE / (across * width), MAX_SIDE / (down * height))
    return max(1, int(width * shrink)), max(1, int(height * shrink))


def fit_into_cell(image: Image.Image, cell: tuple[int, int]) -> Image.Image:
    """Resize an image to fit the cell, keeping its aspect ratio."""
    plain = image.convert("RGB")
    if plain.size == cell:
        return plain
    scale = min(cell[0] / plain.width, cell[1] / plain.height)
    width, height = round(plain.width * scale), round(plain.height * scale)
    size = (min(max(1, width), cell[0]), min(max(1, height), cell[1]))
    return plain.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def open_image(picture: Image.Image | Path) -> Image.Image:
    """The image, read if it is a path. Raises FinishError for a file that is not an image."""
    if isinstance(picture, Image.Image):
        return picture
    with _as_grid_error():
        return open_picture(picture).image


def _image_size(picture: Image.Image | Path) -> tuple[int, int]:
    if isinstance(picture, Image.Image):
        return picture.size
    with _as_grid_error():
        return measure_image(picture)


@contextmanager
def _as_grid_error() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise FinishError(f"the image grid failed: {error.message}", error.hint) from error
