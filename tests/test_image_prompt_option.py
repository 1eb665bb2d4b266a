"""What `--image_prompt` is written as, and read from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dream.core.errors import BadLine
from dream.line import format_line, parse_line
from dream.options.control import IMAGE_PROMPTS, MAX_WEIGHT, ImagePrompt

_NAME = st.text(st.sampled_from("ab.:-=01e5n /\\'\"é"), min_size=1, max_size=12)
_PROMPT = st.builds(ImagePrompt, _NAME, st.just(1.0) | st.floats(0, MAX_WEIGHT))


@given(st.lists(_PROMPT, min_size=1, max_size=4).map(tuple))
def test_whatever_a_file_is_called_it_is_written_and_read_again(
    value: tuple[ImagePrompt, ...],
) -> None:
    assert IMAGE_PROMPTS.read(IMAGE_PROMPTS.write(value)) == value


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("a.png", ImagePrompt("a.png")),
        ("-1", ImagePrompt("-1")),
        ("-1:.5", ImagePrompt("-1", 0.5)),
        ("a.png:0", ImagePrompt("a.png", 0)),
        ("C:\\my\\a.png:0.5", ImagePrompt("C:\\my\\a.png", 0.5)),
        ("10:30.png", ImagePrompt("10:30.png")),
        ("at 10:30:1", ImagePrompt("at 10:30")),
    ],
)
def test_what_people_type(word: str, means: ImagePrompt) -> None:
    assert IMAGE_PROMPTS.read([word]) == (means,)


@pytest.mark.parametrize("weight", ["-1", "-0.5", "nan", "inf", "-inf", "11", "1e999"])
def test_what_is_no_weight_is_refused_with_its_column(weight: str) -> None:
    with pytest.raises(BadLine, match="weight from 0 to 10") as error:
        parse_line(f"a cat --image_prompt a.png:{weight}")
    assert error.value.column == 22


@pytest.mark.parametrize(
    ("typed", "images"),
    [
        ("--image_prompt a.png b.png:0.5 -s5", ["a.png", "b.png"]),
        ("--image_prompt a.png -s5 --image_prompt b.png", ["a.png", "b.png"]),
        ("--image_prompt a.png --no-image_prompt --image_prompt b.png", ["b.png"]),
        ('--image_prompt "my a.png" b.png', ["my a.png", "b.png"]),
        ('--image_prompt "my a.png:0.5"', ["my a.png"]),
        ('--image_prompt "my a.png":0.5', ["my a.png"]),
        ('--image_prompt b.png "my a.png":0.5', ["b.png", "my a.png"]),
    ],
)
def test_image_prompts_in_a_line(typed: str, images: list[str]) -> None:
    request = parse_line(f"a cat {typed}")
    assert [prompt.image for prompt in request.image_prompt or ()] == images
    assert parse_line(format_line(request)) == request
