"""The whole house with the shipped model: what was asked for is in the picture.

Pictures are judged by pixels alone, with training's judge, and shapes by its small reader.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dream
from dream.core.events import Verified
from dream.gallery import LOG_NAME
from dream.session import Session, derive_seeds
from tests.shipped.render import make, make_one, opened
from training.image_analysis import Detection, analyze
from training.shape_classifier import load_reader, read_kinds

SEEDS = 6


def seen(session: Session, line: str) -> list[Detection]:
    return [analyze(opened(event.path)) for event in make(session, f"{line} -n{SEEDS} -S1")]


@pytest.mark.parametrize(
    ("line", "background", "colour"),
    [
        ("a red circle on a blue background", "blue", "red"),
        ("a yellow star on a black background", "black", "yellow"),
        ("白色背景上的绿色方块", "white", "green"),
    ],
)
def test_the_colours_are_those_named(
    session: Session, line: str, background: str, colour: str
) -> None:
    findings = seen(session, line)
    right = [f.background == background and f.regions[0].colour == colour for f in findings]
    assert sum(right) >= SEEDS - 1


def test_the_shape_is_the_one_named(session: Session) -> None:
    reader = load_reader()
    asked = ["circle", "square", "triangle", "star", "heart", "ring"]
    found = [
        analyze(opened(make_one(session, f"a big red {kind} on a white background -S3").path))
        for kind in asked
    ]
    read = read_kinds(reader, [finding.regions[0] for finding in found])
    assert sum(a == b for a, b in zip(asked, read, strict=True)) >= len(asked) - 1, read


def test_the_place_is_the_one_named(session: Session) -> None:
    for place in ("top left", "bottom right", "left", "top"):
        event = make_one(session, f"a small red circle in the {place} on a white background -S2")
        finding = analyze(opened(event.path))
        assert finding.cell(finding.regions[0]) == place


@pytest.mark.parametrize("line", ["a circle [red]", "a circle --negative red"])
def test_a_negative_word_is_driven_out(session: Session, line: str) -> None:
    for event in make(session, f"{line} -n{SEEDS} -S1"):
        pixels = np.asarray(opened(event.path), np.int16)
        red = (pixels[..., 0] > 180) & (pixels[..., 1:].max(-1) < 90)
        assert red.mean() < 0.02


def test_brackets_and_the_switch_are_the_same(session: Session) -> None:
    brackets = make_one(session, "a circle [red] -S5")
    switch = make_one(session, "a circle --negative=red -S5")
    assert brackets.sha256 == switch.sha256


def test_guidance_makes_the_words_count(session: Session) -> None:
    """Without guidance the words are a hint; with it, what they name is there more often."""
    line = "a small purple diamond in the top right on a yellow background"

    def right(findings: list[Detection]) -> int:
        return sum(
            f.background == "yellow"
            and any(r.colour == "purple" and f.cell(r) == "top right" for r in f.regions)
            for f in findings
        )

    free, guided = seen(session, f"{line} -C1"), seen(session, f"{line} -C7")
    assert right(guided) >= SEEDS - 1
    assert right(guided) >= right(free)


def test_upscaling_doubles_the_sides_and_sharpens(session: Session) -> None:
    line = "a black star on a white background -S4"
    small, large = (opened(make_one(session, text).path) for text in (line, f"{line} -U 2 1"))
    bicubic = small.resize((512, 512), Image.Resampling.BICUBIC)
    assert large.size == bicubic.size
    assert edges(large) > 1.1 * edges(bicubic)
    assert abs(np.asarray(large, float) - np.asarray(bicubic, float)).mean() < 8, "same picture"


def edges(image: Image.Image) -> float:
    """How steep the outline is: among the pixels, about one in a thousand lies on it."""
    grey = np.asarray(image.convert("L"), np.float32)
    return float(np.percentile(np.hypot(*np.gradient(grey)), 99.9))


def test_a_series_repeats(session: Session) -> None:
    first = make(session, "a heart -n5 -S42 -s8")
    again = make(session, "a heart -n5 -S42 -s8")
    assert [event.sha256 for event in first] == [event.sha256 for event in again]
    assert [event.request.seed for event in first] == derive_seeds(42, 5)
    assert len({event.sha256 for event in first}) == 5


def test_law_2_the_logged_lines_are_the_same_pixels_in_another_process(
    session: Session, tmp_path: Path
) -> None:
    make(session, f"a boat -S1 -s6 -o {tmp_path}")
    make(session, f"a “house”, # 1 [dogs] -S2 -s6 -A k_euler_a -o {tmp_path}")
    make(session, f"一只猫 -S3 -s6 -U2 -W192 -H256 -A dpmpp_sde -o {tmp_path}")
    with dream.open(outdir=str(tmp_path)) as another:
        events = list(another.verify(tmp_path / LOG_NAME))
    verified = [event for event in events if isinstance(event, Verified)]
    assert [event.same for event in verified] == [True] * 3
