"""What a log puts around a line is told from the line."""

from __future__ import annotations

import pytest

from dream.core.request import Request, Upscale
from dream.line import LogLine, is_skipped, parse_facts, parse_line, parse_log_line


@pytest.mark.parametrize(
    ("line", "path", "inner", "comment"),
    [
        ('a/b c/1.png: "x" -s5 # sha256:ab w:cd', "a/b c/1.png", '"x" -s5', "sha256:ab w:cd"),
        ('    a.png: "x" -s5', "a.png", '"x" -s5', ""),
        ('[12] ./a\\b.PNG: "x" -s5\n', "./a\\b.PNG", '"x" -s5', ""),
        ("[12.1] a.png: x y -s5", "a.png", "x y -s5", ""),
        ("a.png: x y -s 5 -S 42", "a.png", "x y -s 5 -S 42", ""),
        ('a.png: !fix "b.png" -G1', "a.png", '!fix "b.png" -G1', ""),
        ('a.png: "b.png: c"', "a.png", '"b.png: c"', ""),
        ('"a.png: the movie" -S5', None, '"a.png: the movie" -S5', ""),
        ("a.png: the movie", None, "a.png: the movie", ""),
        ("a.png: the movie -S5", "a.png", "the movie -S5", ""),
        ("x -S5 a.png: y", None, "x -S5 a.png: y", ""),
        ("[12] a cat", None, "a cat", ""),
        ("(tiny) dream> a cat", None, "a cat", ""),
        ("[a red] cat", None, "[a red] cat", ""),
        ("a # b", None, "a # b", ""),
        ("a -s5 #b", None, "a -s5", "b"),
        ('!dream "a" -s5', None, '"a" -s5', ""),
        ("", None, "", ""),
    ],
)
def test_a_log_line_comes_apart(line: str, path: str | None, inner: str, comment: str) -> None:
    log = parse_log_line(line)
    assert (log.path, log.line, log.comment) == (path, inner, comment)
    assert line.startswith(log.line, log.start)


def test_the_web_pages_json_becomes_a_line() -> None:
    log = parse_log_line(
        'a.png: {"prompt": "a \\"b\\"", "steps": "5", "seed": "7", "initimg": null}'
    )
    assert log == LogLine("a.png", '"a \\"b\\"" --steps=5 --seed=7', "", 7)


def test_the_web_pages_numbers_may_be_numbers() -> None:
    line = 'a.png: {"prompt": "b", "seed": 0, "steps": 5, "upscale_level": 2, "seamless": null}'
    assert parse_line(line) == Request(prompt="b", seed=0, steps=5, upscale=Upscale(2))


@pytest.mark.parametrize("rest", ["{", "{}", '{"prompt": 5}', "[]", '{"steps": 5}'])
def test_what_is_not_the_web_pages_json_is_a_prompt(rest: str) -> None:
    assert parse_line(f"a.png: {rest} -S5") == Request(prompt=rest, seed=5)


def test_facts_are_the_words_with_a_key() -> None:
    comment = "sha256:0123456789abcdef weights:01234567 model_id=sd-1.5 (batch image 1 of 2) [4, 5]"
    assert parse_facts(comment) == {
        "sha256": "0123456789abcdef",
        "weights": "01234567",
        "model_id": "sd-1.5",
    }


@pytest.mark.parametrize("line", ["", " \n", "# x", "  // x", "#x", "\ufeff# x", "![](a.png)"])
def test_a_line_that_says_nothing_is_skipped(line: str) -> None:
    base = Request(prompt="kept", steps=5)
    assert is_skipped(line)
    assert parse_line(line, base) is base


@pytest.mark.parametrize("line", ["x", '"# x"', "a # b", "!fix", "/ x"])
def test_other_lines_are_not_skipped(line: str) -> None:
    assert not is_skipped(line)
