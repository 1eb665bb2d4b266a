"""Lines that were logged before there was --schedule make the pictures they made then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.errors import BadLine
from dream.core.request import Request
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.sampling.former_schedulers import _ROWS
from dream.line import format_line, parse_line
from dream.options.schedule_table import FORMER, FORMER_SAMPLERS
from dream.options.syntax_table import INVOKEAI, PLAIN
from dream.session import Session
from dream.session.image_prompts import make_line_typable
from dream.session.replay_checks import get_line_defaults
from tests.fakes import FakeEngine

HERE = Path(__file__).parent
LINES = (HERE / "lines.txt").read_text("utf-8").splitlines()
SIDE, COLUMNS = 64, 8


@pytest.fixture(scope="module")
def shipped() -> Iterator[ImageGenerator]:
    generator = create_generator(ModelRegistry([Path("models")]).get_model)
    yield generator
    generator.unload()


TELLING = (2, 3, 5, 7, 8, 11, 13, 20, 24, 27, 28, 30, 34, 37, 40, 43, 46, 51, 57)
"""Those that would be other pictures now, and some more. `scripts/samplers.py` makes all."""


@pytest.mark.parametrize("number", TELLING, ids=lambda n: LINES[n].split(" # ")[0][48:])
def test_a_former_line_makes_its_picture(shipped: ImageGenerator, number: int) -> None:
    registry = ModelRegistry([Path("models")])
    with Session(FakeEngine(), registry, Request(schedule="beta")) as session:
        (recipe,) = session.resolve(session.parse_line(LINES[number])).recipes
    assert recipe.schedule == FORMER
    made = np.asarray(shipped.generate(recipe, lambda reported: None).image, np.int16)
    row, column = divmod(number, COLUMNS)
    top, left = row * SIDE, column * SIDE
    with Image.open(HERE / "pictures.png") as sheet:
        then = np.asarray(sheet.convert("RGB"), np.int16)[top : top + SIDE, left : left + SIDE]
    # Bit for bit on the processor that they were made on; others round the last bit otherwise.
    assert np.abs(made - then).max() <= 1
    assert (made != then).mean() < 0.01
    again = parse_line(format_line(recipe.to_request()))
    assert (again.schedule, again.syntax) == (FORMER, PLAIN), "its new line says so"


def test_a_sampler_that_did_not_exist_is_not_former() -> None:
    assert frozenset(_ROWS) == FORMER_SAMPLERS
    with Session(FakeEngine(), ModelRegistry([Path("models")]), Request()) as session:
        with pytest.raises(BadLine, match="former has no tcd"):
            session.resolve(session.parse_line("a cat -A tcd --schedule former"))
        session.resolve(session.parse_line("a cat -A k_lms --schedule former"))


def test_only_lines_of_ours_are_former() -> None:
    def schedule(line: str) -> str | None:
        return parse_line(line, get_line_defaults(line, Request(), Path)).schedule

    assert schedule('a.png: "x" -s5 -Ak_lms # sha256:0123456789abcdef') == FORMER
    assert schedule('a.png: "x" -s5 -Ak_lms --schedule=karras # sha256:01234567') == "karras"
    assert schedule('a.png: "x" -s5 -S1 -Ak_dpmpp_2_a') is None, "InvokeAI's was DPM++ 2S"
    assert schedule('"x" -s5 -Ak_lms') is None


def test_the_syntax_of_a_line() -> None:
    def syntax(line: str) -> str | None:
        base = Request(syntax="a1111")
        return parse_line(line, get_line_defaults(line, base, Path)).syntax

    assert syntax('a.png: "x++" -s5 # sha256:0123456789abcdef') == PLAIN
    assert syntax('a.png: "x++" -s5 --syntax=invokeai # sha256:0123456789abcdef') == INVOKEAI
    assert syntax('a.png: "x++" -s5 -S1') == INVOKEAI
    assert syntax('"x++" -s5') == "a1111"


def test_a_recorded_line_that_is_typed_again_says_what_it_was() -> None:
    former = '"x" -s5 -Ak_lms --schedule=former --syntax=plain'
    assert make_line_typable('"x" -s5 -Ak_lms', ours=True) == former
    later = '"x" -s5 --schedule=beta'
    assert make_line_typable(later, ours=True) == f"{later} --syntax=plain"
    new = f"{later} --syntax=a1111"
    assert make_line_typable(new, ours=True) == new
    assert make_line_typable('"x" -s5 -Ak_lms', ours=False) == '"x" -s5 -Ak_lms'
