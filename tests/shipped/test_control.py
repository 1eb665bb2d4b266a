"""A ControlNet that was trained for the included model (`training.train_control`), seen in the
pixels: the shape is the control image's, the colours are the prompt's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import dream
from dream.session import Session
from tests.shipped.render import make_one, opened
from training.captions import plainly
from training.evaluate_control import ControlPair, Followed, judge, make_pairs

DATA = Path(__file__).parents[1] / "data"
PAIRS = 8


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    models = tmp_path_factory.mktemp("control")
    shutil.copytree(DATA / "controlnet", models / "controlnet")
    outdir = str(tmp_path_factory.mktemp("images"))
    with dream.open(model="tiny", models_dir=str(models), outdir=outdir) as session:
        session.preload()
        yield session


def follow(session: Session, drawing: Path, pair: ControlPair, weight: float) -> Followed:
    """What an image with the edges of that drawing follows."""
    line = f'"{plainly(pair.wanted)}" -S{pair.seed} -W256 -H256 --control canny={drawing}:{weight}'
    return judge(pair, opened(make_one(session, line).path))


def test_the_shape_is_the_drawings_and_the_colours_are_the_prompts(
    session: Session, tmp_path: Path
) -> None:
    """`training.evaluate_control` judges 50: 46 are right at weight 1, 23 at 0.3."""
    full, little = [], []
    for number, pair in enumerate(make_pairs(PAIRS)):
        drawing = tmp_path / f"{number}.png"
        pair.drawing.save(drawing)
        full.append(follow(session, drawing, pair, 1.0))
        little.append(follow(session, drawing, pair, 0.3))
    assert sum(one.right for one in full) >= PAIRS - 1
    overlaps = [sum(one.overlap for one in some) / PAIRS for some in (full, little)]
    assert overlaps[0] > overlaps[1] + 0.1
