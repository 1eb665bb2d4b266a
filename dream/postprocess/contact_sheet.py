"""Makes a contact sheet: images side by side, with a label below each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from dream.postprocess.image_grid import MAX_SIDE, compute_cell_size, fit_into_cell, open_image

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_BACKGROUND, _TEXT_COLOUR = (255, 255, 255), (32, 32, 32)
_GAP = 6
"""Pixels around each image and its label."""
_MIN_FONT_SIZE, _MAX_FONT_SIZE = 11, 36
"""Minimum and maximum font size in pixels; in between it depends on the size of the images."""


def make_contact_sheet(
    pictures: Sequence[Path | None], labels: Sequence[str], columns: int | None = None
) -> Image.Image:
    """Place the images in rows, from the top left, each above its label, as RGB on white.

    Images are fitted into cells as by `image_grid.make_image_grid`; None leaves a cell empty.
    Labels are wrapped to the cell's width; a longer word makes all cells wider. The sheet is at
    most MAX_SIDE wide and high. Without `columns` it is nearly square.

    Raises ValueError without images, FinishError for a file that is not an image.
    """
    existing = [picture for picture in pictures if picture is not None]
    if not existing:
        raise ValueError("a contact sheet needs at least one image")
    across = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    down = math.ceil(len(pictures) / across)
    cell = compute_cell_size(existing, across, down)
    font = ImageFont.load_default(min(max(cell[0] // 20, _MIN_FONT_SIZE), _MAX_FONT_SIZE))
    longest = max((font.getlength(word) for label in labels for word in label.split()), default=0)
    width = max(cell[0], math.ceil(longest))
    wrapped = ["\n".join(_wrap_label(label, font, width)) for label in labels]
    page = Image.new("RGB", (1, 1), _BACKGROUND)
    text_height = _label_height(ImageDraw.Draw(page), wrapped, font)
    step = (width + _GAP, cell[1] + text_height + 2 * _GAP)
    page = Image.new("RGB", (across * step[0] + _GAP, down * step[1] + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(page)
    for index, (picture, label) in enumerate(zip(pictures, wrapped, strict=True)):
        left = _GAP + index % across * step[0]
        top = _GAP + index // across * step[1]
        if picture is not None:
            small = fit_into_cell(open_image(picture), cell)
            at = (left + (width - small.width) // 2, top + (cell[1] - small.height) // 2)
            page.paste(small, at)
        under = (left + width / 2, top + cell[1] + _GAP)
        draw.multiline_text(under, label, _TEXT_COLOUR, font, anchor="ma", align="center")
    page.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return page


def _label_height(draw: ImageDraw.ImageDraw, labels: Sequence[str], font: Font) -> int:
    """Height of the tallest label in pixels."""
    most = max((label.count("\n") for label in labels), default=0)
    bottom = draw.multiline_textbbox((0, 0), "\n".join(["Ag"] * (most + 1)), font)[3]
    return math.ceil(bottom)


def _wrap_label(label: str, font: Font, width: int) -> Iterator[str]:
    """Wrap a label into lines of at most `width` pixels."""
    line = ""
    for word in label.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            yield line
            longer = word
        line = longer
    yield line
