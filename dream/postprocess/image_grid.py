"""A sheet of pictures, side by side, as near to a square as their number allows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from dream.core.errors import FinishError, InputError
from dream.inputs import measure_image, open_picture

MAX_SIDE = 8192
"""Pixels: no sheet is wider or higher, however many pictures are on it."""


def make_image_grid(
    pictures: Sequence[Image.Image | Path], columns: int | None = None
) -> Image.Image:
    """The pictures in rows, from the top left, without gaps, as RGB.

    A cell is as large as the largest picture; a smaller or differently shaped one is fitted into
    its cell, whole and centred on black. Where the sheet would pass MAX_SIDE, all cells shrink
    alike. Without `columns` the sheet is near-square: as many columns as rows, or one more.
    Files are read one at a time, so that thousands of pictures need no memory.

    Raises ValueError when there are no pictures, FinishError for a file that is none.
    """
    if not pictures:
        raise ValueError("a sheet needs a picture")
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
    """Width and height for the largest picture, less where so many cells would pass MAX_SIDE."""
    width = height = 1
    for picture in pictures:
        across_it, down_it = _size(picture)
        width, height = max(width, across_it), max(height, down_it)
    shrink = min(1.0, MAX_SIDE / (across * width), MAX_SIDE / (down * height))
    return max(1, int(width * shrink)), max(1, int(height * shrink))


def fit_into_cell(image: Image.Image, cell: tuple[int, int]) -> Image.Image:
    """`image` with its own proportions, touching the cell's border."""
    plain = image.convert("RGB")
    if plain.size == cell:
        return plain
    scale = min(cell[0] / plain.width, cell[1] / plain.height)
    width, height = round(plain.width * scale), round(plain.height * scale)
    size = (min(max(1, width), cell[0]), min(max(1, height), cell[1]))
    return plain.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def open_image(picture: Image.Image | Path) -> Image.Image:
    """The picture, read from its file if it is one. Raises FinishError for a file that is none."""
    if isinstance(picture, Image.Image):
        return picture
    with _said_of_the_sheet():
        return open_picture(picture).image


def _size(picture: Image.Image | Path) -> tuple[int, int]:
    if isinstance(picture, Image.Image):
        return picture.size
    with _said_of_the_sheet():
        return measure_image(picture)


@contextmanager
def _said_of_the_sheet() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise FinishError(f"no sheet can be made: {error.message}", error.hint) from error
