"""Every literal line of every era is read as what it was, or refused at the right column."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dream.core.errors import BadLine
from dream.core.request import Request
from dream.line import format_line, parse_line
from tests.line.eras import LOGGED, TYPED, WRONG, Bad, Good


@pytest.mark.parametrize("case", LOGGED + TYPED, ids=lambda case: case.line[:60])
def test_a_line_says(case: Good) -> None:
    request = parse_line(case.line)
    assert request == replace(Request(), **case.values)
    assert parse_line(format_line(request)) == request


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.line[:60])
def test_a_line_is_refused(case: Bad) -> None:
    with pytest.raises(BadLine) as caught:
        parse_line(case.line)
    assert (caught.value.column, case.why in str(caught.value)) == (case.column, True), str(
        caught.value
    )
    assert "\n" not in str(caught.value)


def test_there_are_many() -> None:
    assert len({case.line for case in [*LOGGED, *TYPED, *WRONG]}) >= 150
