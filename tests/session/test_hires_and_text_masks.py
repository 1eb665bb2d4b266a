"""--hires_fix and -tm, settled: what is open is closed, and what is logged is the same again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.line import format_line, parse_line
from dream.options.text_mask import TextMask
from dream.session import ResolvedRequest, resolve

CARD = ModelInfo(name="tiny", path=Path("models/tiny"), width=256, height=256)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.new("RGB", (512, 384), "blue").save(path)
    return str(path)


def resolved(line: str) -> ResolvedRequest:
    return resolve(parse_line(line), lambda name: CARD, (), lambda: 7)


def one(line: str) -> Recipe:
    (recipe,) = resolved(line).recipes
    return recipe


@pytest.mark.parametrize(
    ("line", "strength"),
    [
        ("x -W512 --hires_fix", 0.5),
        ("x -W512 --hires_fix 0.25", 0.25),
        ("x -W512 --hires_fix -f0.7", 0.7),
        ("x -W512", None),
    ],
)
def test_how_strongly_it_is_painted_over(line: str, strength: float | None) -> None:
    assert one(line).hires_fix == strength
    assert one(line).strength is None
    assert resolved(line).notes == ()


def test_where_there_is_nothing_to_mend_it_is_said(photo: str) -> None:
    for line, message in (
        ("x --hires_fix", "--hires_fix is ignored: the image is not larger than 256x256"),
        (f"x -I {photo} --hires_fix", "--hires_fix is ignored with an input image"),
    ):
        answer = resolved(line)
        assert answer.recipes[0].hires_fix is None
        assert any(note.startswith(message) for note in answer.notes)


def test_words_mask_a_picture_and_only_they(photo: str) -> None:
    assert one(f'x -I {photo} -tm "cat OR dog" 0.3').text_mask == TextMask("cat OR dog", 0.3)
    with pytest.raises(BadLine, match="-tm needs an input image"):
        resolved("x -tm cat")
    with pytest.raises(BadLine, match="cannot be used together"):
        resolved(f"x -I {photo} -M {photo} -tm cat")


@settings(max_examples=60)
@given(
    st.none() | st.floats(0, 1),
    st.none() | st.builds(TextMask, st.sampled_from(["cat", "NOT (a OR b)"]), st.floats(0, 1)),
    st.booleans(),
)
def test_what_is_settled_is_written_and_read_back(
    photo: str, hires_fix: float | None, text_mask: TextMask | None, from_picture: bool
) -> None:
    begun = {"init_img": photo, "text_mask": text_mask} if from_picture else {}
    request = Request(prompt="x", width=512, height=384, hires_fix=hires_fix, **begun)
    (recipe,) = resolve(request, lambda name: CARD, (), lambda: 7).recipes
    assert one(format_line(recipe.to_request())) == recipe
