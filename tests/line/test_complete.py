"""What is suggested in a half-typed line."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dream.core.request import FLAGS
from dream.line.complete import complete, find_switch, list_switch_names
from tests.line.eras import LOGGED, TYPED, WRONG


def _values(completes: str, typed: str) -> Iterable[tuple[str, str]]:
    known = {"folder": ["my pictures", "out"], "model": ["tiny"], "seed": ["42", "-1"]}
    known["picture"] = ["my cat.png"]
    return [(v, completes) for v in known.get(completes, []) if v.startswith(typed)]


def _offered(line: str) -> list[str]:
    """The lines one would have after taking a suggestion."""
    return [line[: s.start] + s.text for s in complete(line, len(line), _values)]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("a cat", []),
        ("a cat ", []),
        ("a cat-", []),
        ("a cat --sam", ["a cat --sampler"]),
        (
            "a cat --upscale",
            [
                "a cat --upscale",
                *("a cat --upscaler", "a cat --upscale_tile", "a cat --upscale_precision"),
            ],
        ),
        ("a cat --cfg-", ["a cat --cfg_scale", "a cat --cfg_rescale"]),
        ("a cat -s5 --no-g", ["a cat -s5 --no-grid"]),
        ("a cat -save", ["a cat -save_orig"]),
        ("a cat -A k_e", ["a cat -A k_euler", "a cat -A k_euler_a", "a cat -A k_euler_churn"]),
        ("a cat -Ak_lm", ["a cat -Ak_lms"]),
        ("a cat --sampler=uni", ["a cat --sampler=unipc"]),
        ("a cat --model ", ["a cat --model tiny"]),
        ("a cat --model=t", ["a cat --model=tiny"]),
        ("a cat -o ", ['a cat -o "my pictures"', "a cat -o out"]),
        ("a cat -ref a.png my", ['a cat -ref a.png "my cat.png"']),
        ('a cat -o "my pi', ['a cat -o "my pictures"']),
        ('a cat --outdir="my pi', ['a cat --outdir="my pictures"']),
        ("a cat -S", ["a cat -S42", "a cat -S-1", "a cat -S"]),
        ("a cat -S 4", ["a cat -S 42"]),
        ("a cat -s 5", []),
        ("a cat -s5 # --sam", []),
        ("!fetch --sam", []),
        ('outputs/a.png: "x" --sam', ['outputs/a.png: "x" --sampler']),
        ('"a cat --sam', []),
        ('"a --sam" --sam', ['"a --sam" --sampler']),
    ],
)
def test_suggestions(line: str, offered: list[str]) -> None:
    assert _offered(line) == offered


@pytest.mark.parametrize("line", ["a cat -", '"a cat" ', "a cat -s5 ", "-", "a cat -s5 -"])
def test_every_switch_is_offered_where_one_may_begin(line: str) -> None:
    offered = complete(line, len(line), _values)
    assert len(offered) == len(FLAGS)
    assert {s.meta for s in offered} == {flag.help for flag in FLAGS.values()}


def test_the_cursor_decides() -> None:
    assert [s.text for s in complete("a cat --sam -s5", 11)] == ["--sampler"]


def test_no_line_at_any_cursor_is_too_much() -> None:
    for case in [*LOGGED, *TYPED, *WRONG]:
        for cursor in range(0, len(case.line) + 1, 3):
            for suggestion in complete(case.line, cursor, _values):
                assert 0 <= suggestion.start <= cursor


def test_every_name_is_looked_up() -> None:
    assert list_switch_names()[:1] == ("--prompt",)
    for flag in FLAGS.values():
        assert all(find_switch(name) is flag for name in flag.names)
    for name, field in {"-s50": "steps", "--cfg-sc=7": "cfg_scale", "--no-grid": "grid"}.items():
        assert find_switch(name) is FLAGS[field]
    assert (
        find_switch("--s")
        is find_switch("-q")
        is find_switch("--seam_size")
        is find_switch("--device")
        is None
    )
