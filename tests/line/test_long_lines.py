"""Lines that nobody types."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from dream.core.bounded_reading import LINE_LIMIT
from dream.core.errors import BadLine
from dream.gallery import text_lines
from dream.line import parse_line, parse_sweep, read_leniently

LONG = "cat, " * (LINE_LIMIT // 5 + 1)


@pytest.mark.parametrize("parse", [parse_line, parse_sweep])
@pytest.mark.parametrize("line", [LONG, "-s1 " * LINE_LIMIT, f"000001.1.png: {LONG} # sha256:0"])
def test_a_line_that_is_too_long_is_refused(parse: Callable[[str], object], line: str) -> None:
    with pytest.raises(BadLine, match="longer than 131,072 characters"):
        parse(line)
    assert "longer than" in read_leniently(line)[1][0]


def test_the_longest_line() -> None:
    assert parse_line(LONG[:LINE_LIMIT]).prompt.startswith("cat, cat")
    seeds = ",".join(str(1_234_500_000 + number) for number in range(10_000))
    assert parse_sweep(f"cat -S{seeds}").count == 10_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_lines_behind_a_long_one_are_read(encoding: str) -> None:
    """The long one stays too long."""
    data = f"one\n{'x' * 20_000_000}\nthree\n".encode(encoding)
    one, long, three, *_ = text_lines(io.BytesIO(data), "list.txt", lambda note: None)
    assert (one, three) == ("one", "three")
    with pytest.raises(BadLine, match="longer than"):
        parse_line(long)
    assert len(long) == LINE_LIMIT + 1
