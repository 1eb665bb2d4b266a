"""The whole house with the shipped model, after the fact: what was there stays, what is new goes
on from it, and all of it is made again from its log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dream.core.events import Verified
from dream.gallery import LOG_NAME, read_record
from dream.postprocess.watermark import extract_watermark
from dream.session import Session
from tests.shipped.render import make_one, opened
from training.image_analysis import analyze


@pytest.fixture(scope="module")
def circle(session: Session) -> Path:
    """A red circle in the middle of blue."""
    return make_one(session, "a red circle on a blue background -S1 -s8").path


def background(image: Image.Image) -> str:
    """The colour of a strip that holds nothing else, but for what a seam is."""
    detection = analyze(image)
    assert sum(region.area for region in detection.regions) < 0.03 * image.width * image.height
    return detection.background


def difference(one: Image.Image, other: Image.Image) -> Any:
    return np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max(-1)


def test_beyond_the_frame_the_background_goes_on(session: Session, circle: Path) -> None:
    made = opened(make_one(session, f"!fix {circle} -c right 64 top 24").path)
    assert made.size == (320, 280)
    assert made.crop((0, 24, 256, 280)).tobytes() == opened(circle).tobytes()
    for strip in (made.crop((256, 0, 320, 280)), made.crop((0, 0, 320, 24))):
        assert background(strip) == "blue"
    detection = analyze(made)
    assert detection.background == "blue"
    assert [region.colour for region in detection.regions if region.colour != "blue"] == ["red"]


@pytest.mark.parametrize("seed", [42, 43])
def test_far_beyond_the_frame_the_words_are_not_painted_once_more(
    session: Session, circle: Path, seed: int
) -> None:
    wide = opened(make_one(session, f"!fix {circle} -c right 200 -S{seed}").path)
    assert background(wide.crop((256, 0, 456, 256))) == "blue"
    moved = opened(make_one(session, f"!fix {circle} -D right -S{seed}").path)
    still = opened(circle).crop((128, 0, 256, 256))
    assert moved.crop((0, 0, 128, 256)).tobytes() == still.tobytes()
    assert background(moved.crop((128, 0, 256, 256))) == "blue"


@pytest.mark.parametrize(
    ("seed", "switch"),
    [(3, "-c right 128 top 64"), (3, "-c top 128"), (5, "-c top 128")],
)
def test_no_edge_is_seen_where_something_was_generated(
    session: Session, seed: int, switch: str
) -> None:
    """Neither between windows, nor at the original's frame, from its last pixel outwards: what
    lies inside it is the original's own."""
    made = opened(make_one(session, f"an orange sunset over the sea -S{seed} {switch}").path)
    values = np.asarray(made, np.float32)
    height = values.shape[0]
    above, wide = height - 256, made.width > 256
    windows = [(values[:, :256], 64)] if above == 128 else []
    frames = [(values[::-1, :256], 256)]
    if wide:
        windows += [(values[:above].swapaxes(0, 1), 256), (values[:, 256:], above)]
        frames += [(values[above:].swapaxes(0, 1), 256)]
    for rows, border in windows:
        steps = _steps(rows)
        assert steps[border - 9 : border + 8].max() <= 2 * np.percentile(steps, 95)
    for rows, border in frames:
        steps = _steps(rows)
        assert steps[border - 1 : border + 8].max() <= 2 * np.percentile(steps, 95)


def _steps(rows: Any) -> Any:
    """From each row to the next, the mean difference of colours."""
    return np.abs(np.diff(rows, axis=0)).mean((1, 2))


def test_a_frame_that_moves_keeps_what_it_still_shows(session: Session, circle: Path) -> None:
    made = opened(make_one(session, f"!fix {circle} -D left 48").path)
    assert made.size == (256, 256)
    assert made.crop((48, 0, 256, 256)).tobytes() == opened(circle).crop((0, 0, 208, 256)).tobytes()
    assert background(made.crop((0, 0, 48, 256))) == "blue"


def test_several_at_once_are_the_same_one_by_one(session: Session) -> None:
    first = make_one(session, "a red circle on a blue background -S3 -s5 -W128 -H128")
    at_once = make_one(session, f"!fix {first.path} --watermark dream -U2 -c left 40")
    last = make_one(session, f"!fix {first.path} -c left 40")
    for switch in ("-U2", "--watermark dream"):
        last = make_one(session, f"!fix -1 {switch}")
    assert last.sha256 == at_once.sha256
    assert read_record(last.path).steps == read_record(at_once.path).steps
    assert opened(at_once.path).size == (336, 256)


def test_embiggened_it_is_one_circle_still(session: Session, circle: Path) -> None:
    whole = opened(make_one(session, f"!fix {circle} -embiggen 1.5 0 -embiggen_strength 0.2").path)
    assert whole.size == (384, 384)
    detection = analyze(whole)
    assert detection.background == "blue"
    assert [region.colour for region in detection.regions if region.colour != "blue"] == ["red"]
    tile = opened(make_one(session, "!fix -1 -embiggen_tiles 4 -f0.2").path)
    changed = difference(whole, tile) > 0
    assert changed[256:, 256:].mean() > 0.5
    assert not changed[:128].any() and not changed[:, :128].any(), "no other tile is touched"


def test_a_watermark_on_the_shipped_size_outlives_a_jpeg(
    session: Session, circle: Path, tmp_path: Path
) -> None:
    plain = opened(circle)
    marked = opened(make_one(session, f'!fix {circle} --watermark "nineteen characters"').path)
    marked.save(tmp_path / "a.jpg", quality=90)
    assert (
        extract_watermark(marked)
        == extract_watermark(opened(tmp_path / "a.jpg"))
        == "nineteen characters"
    )
    assert extract_watermark(plain) is None
    assert analyze(marked).background == "blue"
    assert difference(plain, marked).mean() < 16


def test_a_photograph_is_outcropped_too(session: Session, tmp_path: Path) -> None:
    photo = tmp_path / "IMG 1.jpg"
    Image.new("RGB", (300, 201), (30, 160, 60)).save(photo, quality=95)
    made = make_one(
        session, f'!fix "{photo}" -c bottom 33 --new_prompt "a green background" -s6 -S3'
    )
    image = opened(made.path)
    assert image.size == (300, 234)
    assert image.crop((0, 0, 300, 201)).tobytes() == opened(photo).tobytes()
    assert background(image.crop((0, 201, 300, 234))) == "green"


def test_all_of_it_is_made_again_from_the_log(session: Session) -> None:
    log = session.outdir / LOG_NAME
    lines = [line for line in log.read_text().splitlines() if "!fix" in line]
    few = session.outdir / "few.txt"
    few.write_text("\n".join(line for line in lines if " -D " in line or "nineteen" in line))
    verified = [event for event in session.verify(few) if isinstance(event, Verified)]
    assert [event.same for event in verified] == [True] * 2
