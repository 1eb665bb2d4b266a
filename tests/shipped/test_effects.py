"""Variations and effects with the shipped model: what a person would see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dream.core.events import Verified
from dream.gallery import LOG_NAME
from dream.session import Session
from tests.shipped.render import Pixels, make, make_one, pixels
from training.image_analysis import analyze

CIRCLE = "a red circle on a blue background -S42 -s6"
SMALL = "a red circle on a blue background -S42 -s4 -W128 -H128"
SUNSET = "an orange sunset over the sea -S42 -s6"


@pytest.fixture(scope="module")
def circle(session: Session) -> Pixels:
    """Painted before any effect; nothing may have been left behind by them."""
    return rendered(session, SMALL)


def rendered(session: Session, line: str) -> Pixels:
    return pixels(make_one(session, line).path)


def apart(one: Pixels, other: Pixels) -> float:
    return float(abs(one - other).mean())


def seam(picture: Pixels, axis: int) -> tuple[float, float]:
    """How far the picture leaps from its last row to its first, and how far within, at most."""
    leaps = abs(picture - np.roll(picture, 1, axis)).mean((1 - axis, 2))
    return float(leaps[0]), float(leaps[1:].max())


# ── variations ─────────────────────────────────────────────────────────────────────────────────


def test_a_picture_moves_away_with_the_amount(session: Session, circle: Pixels) -> None:
    moved = [apart(circle, rendered(session, f"{SMALL} -V7:{w}")) for w in (0, 0.1, 0.3, 0.7)]
    assert moved[0] == 0
    assert moved == sorted(moved) and len(set(moved)) == 4
    assert apart(circle, rendered(session, f"{SMALL} -v0")) == 0


def test_variations_are_others_and_of_the_same(session: Session) -> None:
    events = make(session, f"{CIRCLE} -v0.2 -n2")
    assert len({event.sha256 for event in events}) == 2
    for event in events:
        finding = analyze(Image.fromarray(pixels(event.path).astype(np.uint8)))
        assert (finding.background, finding.regions[0].colour) == ("blue", "red")


# ── noise ──────────────────────────────────────────────────────────────────────────────────────


def test_perlin_noise_is_another_beginning(session: Session, circle: Pixels) -> None:
    assert apart(circle, rendered(session, f"{SMALL} --perlin 0")) == 0
    moved = [apart(circle, rendered(session, f"{SMALL} --perlin {p}")) for p in (0.1, 0.3)]
    assert 0 < moved[0] < moved[1]
    mixed = Image.fromarray(rendered(session, f"{CIRCLE} --perlin 0.3").astype(np.uint8))
    assert analyze(mixed).background == "blue", "it still hears the words"


def test_a_threshold_tames_a_high_guidance(session: Session) -> None:
    wild, tame = (rendered(session, f"{CIRCLE} -C 12 --threshold {most}") for most in (0, 1.5))
    assert tame.std() < 0.97 * wild.std()


def test_symmetric_pictures_are_symmetric(session: Session) -> None:
    line = "a red heart to the left of a blue star on a white background -S42 -s6"
    plain = rendered(session, line)
    assert apart(plain, plain[:, ::-1]) > 5
    mirrored = rendered(session, f"{line} --h_symmetry_time_pct 0.2")
    assert apart(mirrored, mirrored[:, ::-1]) == 0
    assert apart(mirrored, mirrored[::-1]) > 2
    hearts = analyze(Image.fromarray(mirrored.astype(np.uint8))).regions
    assert len({region.colour for region in hearts[:2]}) == 1 < len(hearts), "and no star"
    both = rendered(session, f"{SMALL} --h_symmetry_time_pct 0.2 --v_symmetry_time_pct 0.2")
    assert apart(both, both[::-1]) == apart(both, both[:, ::-1]) == 0


# ── colour ─────────────────────────────────────────────────────────────────────────────────────


def test_the_colours_become_another_pictures(
    session: Session, circle: Pixels, tmp_path: Path
) -> None:
    reference = Image.radial_gradient("L").resize((90, 60))
    sunset = Image.merge(
        "RGB", (reference, reference.point(lambda v: v // 2), Image.new("L", (90, 60), 20))
    )
    sunset.save(tmp_path / "sunset.jpg")
    event, *_ = make(session, f"{SMALL} --init_color {tmp_path / 'sunset.jpg'} -o {tmp_path}")
    wanted = np.asarray(sunset, np.float32).mean((0, 1))
    recoloured = pixels(event.path)
    before, after = circle.mean((0, 1)), recoloured.mean((0, 1))
    assert abs(after - wanted).max() < 12 < abs(before - wanted).max()
    assert np.corrcoef(circle.mean(-1).flat, recoloured.mean(-1).flat)[0, 1] > 0.5, "its forms"
    verified = [event for event in session.verify(tmp_path / LOG_NAME) if event.name == "verified"]
    assert [event.same for event in verified if isinstance(event, Verified)] == [True]


# ── edges ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def sunset(session: Session) -> Pixels:
    return rendered(session, SUNSET)


@pytest.mark.parametrize(("switch", "fits"), [("", (1, 0)), (" --seamless_axes y", (0,))])
def test_a_seamless_picture_has_no_seam(
    session: Session, sunset: Pixels, switch: str, fits: tuple[int]
) -> None:
    plain, tiled = sunset, rendered(session, f"{SUNSET} --seamless{switch}")
    for axis in (0, 1):
        edge, inner = seam(tiled, axis)
        assert (edge <= inner) == (axis in fits)
        assert seam(plain, axis)[0] > 2 * seam(plain, axis)[1]


def test_a_line_after_a_seamless_one_is_as_before(session: Session, circle: Pixels) -> None:
    assert apart(circle, rendered(session, f"{SMALL} --seamless")) > 0
    assert apart(circle, rendered(session, SMALL)) == 0


# ── on the way ─────────────────────────────────────────────────────────────────────────────────


def test_pictures_in_the_making_lead_to_the_picture(session: Session, tmp_path: Path) -> None:
    event = make_one(session, f"{SMALL} --save_intermediates 1 -o {tmp_path}")
    paths = sorted((tmp_path / "intermediates").iterdir())
    assert [path.name for path in paths] == [f"000001.42.{step:04}.png" for step in (1, 2, 3)]
    ways = [np.asarray(Image.open(path), np.float32) for path in paths]
    assert apart(ways[2], pixels(event.path)) < apart(ways[0], pixels(event.path))


# ── again ──────────────────────────────────────────────────────────────────────────────────────


def test_law_2_every_logged_line_is_the_same_pixels_again(session: Session, tmp_path: Path) -> None:
    switches = (
        *("-v0.3 -V7:0.1", "--perlin 0.2", "--threshold 2", "--seamless_axes x"),
        *("--h_symmetry_time_pct 0.3", "--karras_max 30 -A k_heun"),
    )
    for switch in switches:
        make(session, f"{SMALL} -s3 {switch} -o {tmp_path}")
    verified = [event for event in session.verify(tmp_path / LOG_NAME) if event.name == "verified"]
    assert [event.same for event in verified if isinstance(event, Verified)] == [True] * 6
