"""What `--control` is written as, and read from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dream.core.errors import BadLine
from dream.core.request import Request
from dream.line import format_line, parse_line, parse_sweep
from dream.options.control import CONTROL_KINDS, CONTROLS, MAX_WEIGHT, Control

_NAME = st.text(st.sampled_from("ab.:-=01e5 /\\'\"é"), min_size=1, max_size=12)
_SPAN = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda ends: ends[0] != ends[1])
_CONTROL = st.builds(
    lambda kind, image, weight, ends: Control(kind, image, weight, *sorted(ends)),
    st.sampled_from(list(CONTROL_KINDS)),
    _NAME,
    st.floats(0, MAX_WEIGHT),
    _SPAN,
)


@given(st.lists(_CONTROL, min_size=1, max_size=4).map(tuple))
def test_controls_are_written_and_read_again(value: tuple[Control, ...]) -> None:
    assert CONTROLS.read(CONTROLS.write(value)) == value


@given(st.sampled_from(list(CONTROL_KINDS)), _NAME)
def test_whatever_a_file_is_called_it_is_written_and_read_again(kind: str, image: str) -> None:
    value = (Control(kind, image),)
    assert CONTROLS.read(CONTROLS.write(value)) == value


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("canny=a.png", Control("canny", "a.png")),
        ("depth=-1", Control("depth", "-1")),
        ("depth=-1:0.5", Control("depth", "-1", 0.5)),
        ("openpose=a.png:0.5", Control("pose", "a.png", 0.5)),
        ("Canny=a.png:1.2:0-0.5", Control("canny", "a.png", 1.2, 0, 0.5)),
        ("tile=a.png:.5:.25-.75", Control("tile", "a.png", 0.5, 0.25, 0.75)),
        ("seg=a.png:0.2-1", Control("seg", "a.png", 1, 0.2, 1)),
        ("canny=C:\\my\\a.png:0.5", Control("canny", "C:\\my\\a.png", 0.5)),
        ("canny=a=b.png", Control("canny", "a=b.png")),
        ("canny=10:30.png", Control("canny", "10:30.png")),
        ("canny=at 10:30:1", Control("canny", "at 10:30")),
        ("canny=at 10:30:1:0-1", Control("canny", "at 10:30")),
        ("canny=a.png:0.2-0.8:0.5", Control("canny", "a.png", 0.5, 0.2, 0.8)),
        ("canny=a.png:0.2-0.8:0.5:0-1", Control("canny", "a.png:0.2-0.8", 0.5)),
    ],
)
def test_what_people_type(word: str, means: Control) -> None:
    assert CONTROLS.read([word]) == (means,)


@pytest.mark.parametrize(
    "word",
    [
        *(f"canny=a.png:{weight}" for weight in ("-1", "nan", "inf", "-0.5:0-1", "11")),
        *("", "canny", "canny=", "=a.png", "a.png", "edge=a.png", "canny:a.png", "canny =a.png"),
        *("canny=a.png:11", "canny=a.png:1e999", "canny=a.png:1:0.5-0.5", "canny=a.png:1:0.7-0.2"),
        "canny=a.png:1:0-1.5",
    ],
)
def test_what_is_no_control(word: str) -> None:
    with pytest.raises(ValueError, match=r"|."):
        CONTROLS.read([word])


def test_no_two_kinds_share_a_name() -> None:
    names = [name for kind in CONTROL_KINDS.values() for name in (kind.name, *kind.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("typed", "images"),
    [
        ("--control canny=a.png", ["a.png"]),
        ("--control canny=a.png depth=b.png:0.5", ["a.png", "b.png"]),
        ("--control canny=a.png -s5 --control depth=b.png", ["a.png", "b.png"]),
        ("--control=canny=a.png --control=depth=-1", ["a.png", "-1"]),
        ("--control canny=a.png --no-control --control depth=b.png", ["b.png"]),
        ('--control "canny=my a.png"', ["my a.png"]),
        ('--control canny="my a.png" depth=b.png', ["my a.png", "b.png"]),
        ('--control canny="my a.png":0.5:0-0.5', ["my a.png"]),
        ('--control canny="a.png"', ["a.png"]),
        ('--control="canny=my a.png"', ["my a.png"]),
        ("--control canny='my a.png' -s5", ["'my a.png'"]),
        ("--control canny=my\\ a.png:0.5", ["my\\ a.png"]),
        ('--control canny="C:\\my files\\a.png"', ["C:\\my files\\a.png"]),
        ("--control canny=10:30.png", ["10:30.png"]),
    ],
)
def test_control_images_in_a_line(typed: str, images: list[str]) -> None:
    request = parse_line(f"a cat {typed}")
    assert [control.image for control in request.control or ()] == images
    assert parse_line(format_line(request)) == request
    assert [sweep_request.control for sweep_request in parse_sweep(f"a cat {typed}")] == [
        request.control
    ]


def test_a_line_replaces_the_default_and_does_not_add_to_it() -> None:
    base = Request(control=(Control("canny", "a.png"),))
    assert parse_line("a cat --control depth=b.png", base).control == (Control("depth", "b.png"),)
    assert parse_line("a cat --no-control", base).control is None


@pytest.mark.parametrize(
    ("typed", "column", "says"),
    [
        ("--control wood=a.png", 17, "one of the kinds canny depth"),
        ("--control canny", 17, "--control takes KIND=FILE"),
        ("--control mlsd=a.png", 17, "mlsd is not supported: .* use canny"),
        ("--control canny", 17, r"name the image: canny=FILE"),
        ("--control canny=", 17, r"name the image: canny=FILE"),
        ("--control a.png", 17, r"name the kind: canny=FILE"),
        ("--control cany=a.png", 17, r"did you mean canny\?"),
        ("--control opnepose=a.png", 17, r"did you mean pose\?"),
        ("--control depth=b.png canny=a.png:-1", 17, "a weight is from 0 to 10"),
        ("--control canny=a.png:0.5-0.9:11", 17, "a weight is from 0 to 10"),
        ("--control canny=a.png:1:0-20", 17, "from 0 to 1: 0-0.5 is the first half"),
        ("--control canny=a.png:0.8-0.2", 17, "ends before it begins"),
        ("--control", 7, "nothing follows"),
        ('--control canny="my a.png', 17, "never closed"),
        ("--control " + "canny=a.png " * 5 + "--control " + "tile=b.png " * 4, 77, "at most 8"),
        ("--control_mode both --control canny=a.png", 22, "balanced prompt control"),
    ],
)
def test_what_is_wrong_with_a_control_is_said_with_its_column(
    typed: str, column: int, says: str
) -> None:
    with pytest.raises(BadLine, match=says) as error:
        parse_line(f"a cat {typed}")
    assert error.value.column == column
