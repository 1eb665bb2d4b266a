"""Writes many images into one, side by side."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image


def write_sheet(images: Sequence[Image.Image], path: Path, columns: int, cell: int = 96) -> None:
    """All images in rows of `columns`, each scaled to `cell` x `cell` pixels, as the file type of
    `path`."""
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * cell, rows * cell), "white")
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        small = image.convert("RGB").resize((cell, cell), Image.Resampling.LANCZOS)
        sheet.paste(small, (column * cell, row * cell))
    sheet.save(path)
