"""Values that are more than a number or a word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dream.options.option_type import MAX_SEED
from dream.options.variations import AXES, VARIATIONS, Variation

_VARIATION = st.builds(Variation, st.integers(0, MAX_SEED), st.floats(0, 1))


@given(st.lists(_VARIATION, min_size=1).map(tuple))
def test_variations_are_written_and_read_again(value: tuple[Variation, ...]) -> None:
    assert VARIATIONS.read(VARIATIONS.write(value)) == value


@pytest.mark.parametrize("spelling", ["42:0.1,7:0.25", "42,0.1;7,0.25", "42,0.1,7,0.25"])
def test_variations_in_every_spelling(spelling: str) -> None:
    assert VARIATIONS.read([spelling]) == (Variation(42, 0.1), Variation(7, 0.25))


@pytest.mark.parametrize(
    "spelling",
    [
        *("", "42", "42:", ":0.1", "42:0.1,", "42:0.1,7", "42,0.1,7", "42:0.1:7:0.2", "42;0.1"),
        *("42:0.1;7:0.25", "42:1.1", "42:-0.1", "42:nan", "-1:0.1", "4294967296:0.1", "a:b"),
    ],
)
def test_what_are_no_variations(spelling: str) -> None:
    with pytest.raises(ValueError, match=r"|."):
        VARIATIONS.read([spelling])


def test_axes_in_every_spelling() -> None:
    assert {AXES.read([spelling]) for spelling in ("x,y", "y,x", "xy")} == {"x,y"}
    assert [AXES.read([spelling]) for spelling in "xy"] == ["x", "y"]
