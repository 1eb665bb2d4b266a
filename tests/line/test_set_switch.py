"""Buttons and sliders write switches into a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dream.core.errors import BadLine
from dream.core.request import FLAGS
from dream.line import parse_line
from dream.line.set_switch import set_switch


@pytest.mark.parametrize(
    ("line", "field", "words", "result"),
    [
        ("a cat", "steps", ["20"], "a cat -s20"),
        ("a cat -s 5 -n2", "steps", ["20"], "a cat -s20 -n2"),
        ("a cat --steps=5,6 -n2", "steps", None, "a cat -n2"),
        ("a cat -s0 -n2", "steps", ["7"], "a cat -s7 -n2"),
        ("a cat -s5 -s6", "steps", ["7"], "a cat -s7"),
        ("a cat -U 2 0.5", "upscale", ["4"], "a cat -U4 0.75"),
        ("a cat", "seamless", [], "a cat --seamless"),
        ("a cat --seamless -s5", "seamless", None, "a cat -s5"),
        ("a cat # -s5", "steps", ["6"], "a cat # -s6"),
        ('"a -s5 cat"', "steps", ["6"], '"a -s5 cat" -s6'),
        ('"a cat" -s5 # words', "seed", ["3"], '"a cat" -s5 -S3 # words'),
        ("a cat", "init_img", ["my cat.png"], 'a cat -I "my cat.png"'),
        ("a cat", "init_img", ["000001.5.png"], "a cat -I 000001.5.png"),
        ("a cat", "seed", ["-1"], 'a cat -S "-1"'),
        ("", "steps", ["5"], "-s5"),
        ("!fix x.png -U2", "upscale", ["4", "1"], "!fix x.png -U4 1"),
        ("a cat -C7.5 -A ddim", "sampler", ["k_euler"], "a cat -C7.5 -A k_euler"),
    ],
)
def test_what_is_written(line: str, field: str, words: list[str] | None, result: str) -> None:
    assert set_switch(line, field, words) == result


@pytest.mark.parametrize(("field", "words"), [("steps", ["0"]), ("steps", []), ("x", ["1"])])
def test_what_cannot_be_written(field: str, words: list[str]) -> None:
    with pytest.raises(BadLine):
        set_switch("a cat", field, words)


@given(st.text(max_size=60), st.sampled_from([5, 20]), st.booleans())
def test_any_line_keeps_its_other_values(line: str, steps: int, is_set: bool) -> None:
    changed = set_switch(line, "steps", [str(steps)] if is_set else None)
    try:
        before, after = parse_line(line), parse_line(changed)
    except BadLine:
        return
    assert after.steps == (steps if is_set else None) or not before.prompt
    for name in FLAGS:
        if name not in ("steps", "prompt"):
            assert getattr(before, name) == getattr(after, name)
