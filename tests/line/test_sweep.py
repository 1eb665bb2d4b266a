"""Several values for one switch: what lists and ranges come to, what is said of wrong ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dream.core.errors import BadLine, BadSetting
from dream.core.request import FLAGS, Request
from dream.line import Axis, Sweep, format_line, format_sweep, parse_argv, parse_line, parse_sweep
from dream.options.sampler_table import SAMPLERS
from tests.line.eras import LOGGED, TYPED


@pytest.mark.parametrize(
    ("line", "axes"),
    [
        ("x -C 5,7.5,10", {"cfg_scale": (5, 7.5, 10)}),
        ("x -C5,7.5", {"cfg_scale": (5, 7.5)}),
        ('x --cfg-scale="5,7.5"', {"cfg_scale": (5, 7.5)}),
        ("x -A k_euler,ddim", {"sampler": ("k_euler", "ddim")}),
        ("x -A euler,lms", {"sampler": ("k_euler", "k_lms")}),
        ("x -s 10..50:10", {"steps": (10, 20, 30, 40, 50)}),
        ("x -s 10..45:10", {"steps": (10, 20, 30, 40)}),
        ("x -s 3..1", {"steps": (3, 2, 1)}),
        ("x -s 1,5..7,20", {"steps": (1, 5, 6, 7, 20)}),
        ("x -S1..4", {"seed": (1, 2, 3, 4)}),
        ("x -S-2..-1", {"seed": (-2, -1)}),
        ("x -S -1,7", {"seed": (-1, 7)}),
        ("x -C 7.0..8.0:0.5", {"cfg_scale": (7, 7.5, 8)}),
        ("x -C 1..1.3:0.1", {"cfg_scale": (1, 1.1, 1.2, 1.3)}),
        ("x -W64,128 -H=64..192:64", {"width": (64, 128), "height": (64, 128, 192)}),
        ("x -s 5,6 -s 7", {}),
        ("x -s 7 -s 5,6", {"steps": (5, 6)}),
        ("x -s 10..10", {}),
        ("red, green, 1..8 and 5,7 -s5", {}),
        ('"a -s 1,2 cat" -s5', {}),
        ("x --negative red,blue -o 1..2", {}),
        ("x -U 2,0.5", {}),
    ],
)
def test_what_is_swept(line: str, axes: dict[str, tuple[Any, ...]]) -> None:
    sweep = parse_sweep(line)
    assert dict(sweep.axes) == axes
    assert len(list(sweep)) == len(set(sweep)) == sweep.count
    for field, values in axes.items():
        assert getattr(sweep.first, field) == values[0]


def test_every_combination_in_the_order_it_was_typed() -> None:
    sweep = parse_sweep("a cat -A k_euler,ddim -C 5,7.5 -n3 -S1")
    assert [(one.sampler, one.cfg_scale) for one in sweep] == [
        ("k_euler", 5),
        ("k_euler", 7.5),
        ("ddim", 5),
        ("ddim", 7.5),
    ]
    assert {(one.prompt, one.iterations, one.seed) for one in sweep} == {("a cat", 3, 1)}
    assert (sweep.shape, sweep.count) == ((2, 2, 3), 12)
    assert str(sweep) == "12 images: 2 × -A, 2 × -C, 3 × -n"


@pytest.mark.parametrize(
    ("line", "column", "why"),
    [
        ("x -C 5,0.5,7", 8, "at least 1, not “0.5”"),
        ("x -C5,x", 7, "not “x”"),
        ('x -C "5,x"', 9, "not “x”"),
        ("x -A k_euler,dim", 14, "did you mean ddim?"),
        ("x -A k_euler..ddim", 6, "not “k_euler..ddim”"),
        ("x -C 5,,7", 8, "missing between the commas"),
        ("x -C 5, 7", 8, "a list has no spaces"),
        ("x -s 10..x", 10, "whole number"),
        ("x -s ..5", 6, "whole number"),
        ("x -s 1..20:0", 12, "step of a range must be a number above 0"),
        ("x -s 1..20:-5", 12, "step of a range must be a number above 0"),
        ("x -s 1..20:nan", 12, "step of a range must be a number above 0"),
        ("x -s 1..20:", 12, "step of a range must be a number above 0"),
        ("x -s 10..20:0.5", 6, "whole number from 1 to 1000, not “10.5”"),
        ("x -C 1..inf", 9, "at least 1"),
        ("x -S 5,1..4000000000", 8, "more than 10,000 values"),
        ("x -C 1..2:1e-999999", 6, "more than 10,000 values"),
        ("x -S1..200 -C1..100", 0, "20,000 images: 200 × -S, 100 × -C"),
        ("x -n 1,2", 6, "whole number"),
        ("x -z 1..9", 6, "whole number"),
        ("x -b 1,2", 6, "whole number"),
    ],
)
def test_what_is_wrong_is_pointed_at(line: str, column: int, why: str) -> None:
    with pytest.raises(BadLine) as error:
        parse_sweep(line)
    assert error.value.column == column
    assert why in str(error.value)


@given(
    st.decimals(1, 40, places=2),
    st.decimals(1, 40, places=2),
    st.decimals("0.01", 10, places=2).filter(bool),
)
def test_a_range_is_counted_exactly(first: Any, last: Any, step: Any) -> None:
    count = int(abs(last - first) // step) + 1
    sign = 1 if first <= last else -1
    exact = [float(Fraction(first) + sign * n * Fraction(step)) for n in range(count)]
    sweep = parse_sweep(f"x -C {first}..{last}:{step}")
    assert [one.cfg_scale for one in sweep] == exact


_AXES = st.fixed_dictionaries(
    {},
    optional={
        "steps": st.lists(st.integers(1, 1000), min_size=2, max_size=4),
        "seed": st.lists(st.integers(-3, 2**32 - 1), min_size=2, max_size=4),
        "cfg_scale": st.lists(st.floats(1, allow_infinity=False), min_size=2, max_size=4),
        "sampler": st.lists(st.sampled_from(list(SAMPLERS)), min_size=2, max_size=4),
    },
)


@given(_AXES, st.text(max_size=20), st.integers(1, 5), st.sampled_from([None, 7]))
def test_a_sweep_is_written_and_read_again(
    axes: dict[str, list[Any]], prompt: str, iterations: int, steps: int | None
) -> None:
    firsts = {field: values[0] for field, values in axes.items()}
    first = Request(prompt=prompt, iterations=iterations, **firsts)
    in_order = tuple(Axis(field, tuple(axes[field])) for field in FLAGS if field in axes)
    sweep, base = Sweep(first, in_order), Request(steps=steps, grid=True)
    assert parse_sweep(format_sweep(sweep, base), base) == sweep
    for one in sweep:
        assert parse_sweep(format_line(one, base), base) == Sweep(one), "a written line is single"


def test_every_line_of_every_era_asks_for_what_it_always_did() -> None:
    for case in [*LOGGED, *TYPED]:
        assert parse_sweep(case.line) == Sweep(parse_line(case.line))


def test_a_list_is_no_single_value() -> None:
    with pytest.raises(BadLine, match="at least 1"):
        parse_line("x -C 5,7")


def test_in_the_shell_a_list_goes_with_the_prompt() -> None:
    argv = ["a", "cat", "-C", "5,7.5", "-s5", "-s", "1..3", "-Addim,plms", "-Alcm"]
    _, base, line = parse_argv(argv)
    assert base == Request(steps=5, sampler="lcm")
    assert line == '"a cat" -C 5,7.5 -s 1,2,3'
    with pytest.raises(BadSetting, match="needs a prompt"):
        parse_argv(["-C", "5,7.5"])
    with pytest.raises(BadSetting, match="whole number"):
        parse_argv(["a", "-s", "5,x"])
