"""What weights, blends, schedules and swaps mean, seen with the shipped model."""

from __future__ import annotations

import numpy as np
import pytest

from dream.session import Session
from tests.shipped.render import Pixels, make_one, pixels

_SMALL = "-S3 -s8 -W128 -H128"


def painted(session: Session, line: str) -> Pixels:
    return pixels(make_one(session, f"{line} {_SMALL}").path)


def share(image: Pixels, test: str) -> float:
    """How much of an image has a colour: a condition on r, g and b."""
    r, g, b = image[..., 0], image[..., 1], image[..., 2]
    hits = {
        "red": (r > 150) & (g < 100) & (b < 110),
        "blue": (b > 130) & (r < 120),
        "yellow": (r > 170) & (g > 110) & (b < 130),
    }
    return float(hits[test].mean())


def test_a_weight_moves_a_colour(session: Session) -> None:
    greens = [
        painted(session, f"a (red){weight} circle on blue")[48:80, 48:80, 1].mean()
        for weight in ("0", "0.5", "1.5")
    ]
    assert greens[0] - 20 > greens[1] > greens[2], "less red, more yellow"


def test_a_swap_changes_the_thing_and_keeps_the_background(session: Session) -> None:
    before, after = (
        painted(session, f"a red circle{swap} on blue") for swap in ("", ".swap(star)")
    )
    edge = np.ones((128, 128), bool)
    edge[16:112, 16:112] = False
    assert np.abs(before - after)[edge].mean() < 12
    assert np.abs(before - after)[~edge].mean() > 20
    assert share(before, "red") - 0.05 > share(after, "red") > 0.02, "a star is thinner"


@pytest.mark.parametrize(("when", "colour"), [("0.13", "blue"), ("0.9", "red")])
def test_a_schedule_ends_with_its_second_words(session: Session, when: str, colour: str) -> None:
    image = painted(session, f"a [red:blue:{when}] circle on white --syntax a1111")
    assert share(image, colour) > 0.1


def test_a_blend_is_between_its_parts(session: Session) -> None:
    one, other, both = (
        painted(session, line)
        for line in (
            "a red circle on blue",
            "a yellow circle on blue",
            '("a red circle on blue", "a yellow circle on blue").blend(1, 1)',
        )
    )
    green = [image[48:80, 48:80, 1].mean() for image in (one, both, other)]
    assert green[0] + 10 < green[1] < green[2] - 10


def test_and_shows_both(session: Session) -> None:
    """The circle alone is on yellow, the background alone has no circle."""
    both = painted(session, "a red circle AND a blue background:0.5 --syntax a1111")
    assert share(both, "red") > 0.05
    assert share(both, "blue") > 0.5
