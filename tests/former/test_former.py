"""Lines that were logged before there was --schedule make the pictures they made then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dream.catalogue import Shelf
from dream.engine import open_painter
from dream.engine.painter import Painter
from dream.line import read, write
from dream.request import Request
from dream.schedules import FORMER
from dream.studio import Studio
from dream.studio.lent import as_typed
from dream.studio.recall import base_of
from tests.fakes import FakeEngine

HERE = Path(__file__).parent
LINES = (HERE / "lines.txt").read_text("utf-8").splitlines()
SIDE, COLUMNS = 64, 8


@pytest.fixture(scope="module")
def shipped() -> Iterator[Painter]:
    painter = open_painter(Shelf([Path("models")]).model)
    yield painter
    painter.unload()


TELLING = (2, 3, 5, 7, 8, 11, 13, 20, 24, 27, 28, 30, 34, 37, 40, 43, 46, 51, 57)
"""Those that would be other pictures now, and some more. `scripts/samplers.py` makes all."""


@pytest.mark.parametrize("number", TELLING, ids=lambda n: LINES[n].split(" # ")[0][48:])
def test_a_former_line_makes_its_picture(shipped: Painter, number: int) -> None:
    shelf = Shelf([Path("models")])
    with Studio(FakeEngine(), shelf, Request(schedule="beta")) as studio:
        (recipe,) = studio.settle(studio.read(LINES[number])).recipes
    assert recipe.schedule == FORMER
    made = np.asarray(shipped.paint(recipe, lambda told: None).image, np.int16)
    row, column = divmod(number, COLUMNS)
    top, left = row * SIDE, column * SIDE
    with Image.open(HERE / "pictures.png") as sheet:
        then = np.asarray(sheet.convert("RGB"), np.int16)[top : top + SIDE, left : left + SIDE]
    # Bit for bit on the processor that they were made on; others round the last bit otherwise.
    assert np.abs(made - then).max() <= 1
    assert (made != then).mean() < 0.01
    again = read(write(recipe.as_request()))
    assert again.schedule == FORMER, "its new line says so"


def test_only_lines_of_ours_are_former() -> None:
    def schedule(line: str) -> str | None:
        return read(line, base_of(line, Request(), Path)).schedule

    assert schedule('a.png: "x" -s5 -Ak_lms # sha256:0123456789abcdef') == FORMER
    assert schedule('a.png: "x" -s5 -Ak_lms --schedule=karras # sha256:01234567') == "karras"
    assert schedule('a.png: "x" -s5 -S1 -Ak_dpmpp_2_a') is None, "InvokeAI's was DPM++ 2S"
    assert schedule('"x" -s5 -Ak_lms') is None


def test_a_recorded_line_that_is_typed_again_says_what_it_was() -> None:
    assert as_typed('"x" -s5 -Ak_lms', ours=True) == '"x" -s5 -Ak_lms --schedule=former'
    assert as_typed('"x" -s5 --schedule=beta', ours=True) == '"x" -s5 --schedule=beta'
    assert as_typed('"x" -s5 -Ak_lms', ours=False) == '"x" -s5 -Ak_lms'
