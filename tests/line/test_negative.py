"""`[words]` leave the prompt and join the negative."""

from __future__ import annotations

import pytest

from dream.line import split_negative


@pytest.mark.parametrize(
    ("prompt", "positive", "negative"),
    [
        ("a cat", "a cat", ""),
        ("  a  cat ", "  a  cat ", ""),
        ("a cat [red]", "a cat", "red"),
        ("[red] a cat", "a cat", "red"),
        ("[red], a cat", "a cat", "red"),
        ("a cat, [red]", "a cat", "red"),
        ("a [red] cat [dark blue] here", "a cat here", "red, dark blue"),
        ("a cat, [red], on a mat", "a cat, on a mat", "red"),
        ("a cat [red], on a mat", "a cat, on a mat", "red"),
        ("a cat ([red] big)", "a cat (big)", "red"),
        ("a, [x] [y] b", "a, b", "x, y"),
        ("a[]b [ ] c", "a b c", ""),
        ("a [red [and] blue] cat", "a cat", "red and blue"),
        ("[red]", "", "red"),
        ("an array[ of cats", "an array[ of cats", ""),
        ("an array] of cats", "an array] of cats", ""),
        ("an [array [red] of cats", "an [array of cats", "red"),
        (r"a \[literal\] cat", "a [literal] cat", ""),
        (r"a cat [with \[brackets\]]", "a cat", "with [brackets]"),
        (r"C:\new [x]", r"C:\new", "x"),
        # InvokeAI 2.3 took the first "]", knew no escape, and joined with a space.
        ("a [x] cat [y] z", "a cat z", "x, y"),
        ("a [b [c] d] e", "a e", "b c d"),
        ("a [b", "a [b", ""),
        (r"a \[b\] c", "a [b] c", ""),
        ("[x y] [z]", "", "x y, z"),
    ],
)
def test_brackets(prompt: str, positive: str, negative: str) -> None:
    assert split_negative(prompt, "") == (positive, negative)


def test_the_negative_comes_first() -> None:
    assert split_negative("a cat [red] [blue]", " dark ") == ("a cat", "dark, red, blue")


def test_many_brackets_take_one_pass() -> None:
    assert split_negative("[" * 50_000, "") == ("[" * 50_000, "")
    assert split_negative("[" * 30_000 + "x" + "]" * 30_000, "") == ("", "x")
