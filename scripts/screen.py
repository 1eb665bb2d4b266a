"""A terminal's screen as a picture: what tmux shows, drawn for the README.

tmux capture-pane -e -p -N | python -m scripts.screen docs/pictures/terminal.png
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from prompt_toolkit.formatted_text import ANSI, to_formatted_text
from prompt_toolkit.utils import get_cwidth

CELL = (9, 18)
MARGIN = 12
PAPER, INK, GRAY = "#16181d", "#d8dbe2", "#7d8590"
COLOURS = {
    "ansired": "#f0716b",
    "ansigreen": "#8fd07f",
    "ansiyellow": "#e3c26f",
    "ansiblue": "#77a8f2",
    "ansimagenta": "#c99bf0",
    "ansicyan": "#6fd0d6",
    "ansibrightblack": GRAY,
}
_QUADRANTS = dict(zip("▖▗▘▙▚▛▜▝▞▟", (4, 8, 1, 13, 9, 7, 11, 2, 6, 14), strict=True))
"""Bits: upper left 1, upper right 2, lower left 4, lower right 8."""

Box = tuple[float, float, float, float]


def boxes(char: str) -> list[Box] | None:
    """What a block character fills of its cell, as parts of it; None for other characters."""
    code = ord(char)
    if char in _QUADRANTS:
        corners = ((0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5))
        return [
            (x, y, x + 0.5, y + 0.5)
            for bit, (x, y) in enumerate(corners)
            if _QUADRANTS[char] >> bit & 1
        ]
    if 0x2581 <= code <= 0x2588:
        return [(0, 1 - (code - 0x2580) / 8, 1, 1)]
    if 0x2589 <= code <= 0x258F:
        return [(0, 0, (0x2590 - code) / 8, 1)]
    whole: dict[str, Box] = {
        "▀": (0, 0, 1, 0.5),
        "▐": (0.5, 0, 1, 1),
        "▔": (0, 0, 1, 0.125),
        "▕": (0.875, 0, 1, 1),
    }
    return [whole[char]] if char in whole else None


def cells(text: str) -> Iterator[tuple[int, int, str, str, str]]:
    """Column, row, character, its colour and the one behind it."""
    column = row = 0
    for style, char, *_ in to_formatted_text(ANSI(text)):
        if char == "\n":
            column, row = 0, row + 1
            continue
        ink, paper = INK, PAPER
        for word in style.split():
            ground = word.startswith("bg:")
            colour = COLOURS.get(word.removeprefix("bg:"), word.removeprefix("bg:"))
            if re.fullmatch("#[0-9a-f]{6}", colour):
                ink, paper = (ink, colour) if ground else (colour, paper)
        if "dim" in style.split():
            ink = GRAY
        if "reverse" in style.split():
            ink, paper = paper, ink
        yield column, row, char, ink, paper
        column += max(1, get_cwidth(char))


def drawn(text: str) -> Image.Image:
    """The screen, as large as what stands on it."""
    placed = [*cells(text.rstrip("\n"))]
    width, height = CELL
    size = (
        (max(cell[0] for cell in placed) + 1) * width + 2 * MARGIN,
        (max(cell[1] for cell in placed) + 1) * height + 2 * MARGIN,
    )
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype("DejaVuSansMono.ttf", 15)
    for column, row, char, ink, paper in placed:
        x, y = MARGIN + column * width, MARGIN + row * height
        if paper != PAPER:
            draw.rectangle((x, y, x + width - 1, y + height - 1), paper)
        filled = boxes(char)
        for left, top, right, bottom in filled or ():
            corner = (x + round(right * width) - 1, y + round(bottom * height) - 1)
            draw.rectangle((x + round(left * width), y + round(top * height), *corner), ink)
        if filled is None and not char.isspace():
            draw.text((x, y), char, ink, font)
    return image


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", type=Path)
    drawn(sys.stdin.read()).save(parser.parse_args().picture, optimize=True)
