"""What is quoted of a library's error."""

from __future__ import annotations

import pytest

from dream.core.errors import summarize


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError("wrong shape"), "wrong shape"),
        (ValueError("\n  wrong shape\n  of the matrix"), "wrong shape"),
        (IndexError(), "IndexError"),
        (KeyError(" \n"), "' \\n'"),
        (ValueError("x" * 5000), "x" * 199 + "…"),
    ],
)
def test_one_line_of_bounded_length(error: Exception, says: str) -> None:
    assert summarize(error) == says
